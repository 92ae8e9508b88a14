// A process that holds and writes a ledger, for tests that kill it, stop it or take its disk away. Says on stdout what was acknowledged.
// Arguments: folder, verifier key seed in hex, number of callers (0: only hold the lock).

import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { fileLedgerOptions, keyOfSeed, openFileLedger, payload } from './ledger.ts';

const [root = '', seed = '', callers = '0'] = process.argv.slice(2);

function say(text: string): void {
  // At once and whole: what is in a buffer of ours when we are killed was never said. A reader that is busy is waited for.
  const bytes = Buffer.from(`${text}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

try {
  const { ledger } = await openFileLedger(
    fileLedgerOptions(root, keyOfSeed(Buffer.from(seed, 'hex')), {
      limits: { segmentEntries: 50, vaultBytes: 20_000 },
    }),
  );
  ledger.onFailure((failure) => say(`failed ${failure.code}`));
  say(`opened ${ledger.epoch}`);
  if (callers === '0') {
    // A child of ours must not hold our lock when we are gone.
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 20000)'], { stdio: 'ignore' });
    say(`child ${child.pid}`);
    setInterval(() => undefined, 1_000);
  }
  const caller = async (name: number) => {
    for (let n = 0; ; n++) {
      const secret = payload(`arguments of ${name}.${n}`);
      const receipts = await ledger.append(
        [
          { type: 'call.intent', call: `${name}.${n}`, args: secret.commitment },
          { type: 'call.ending', call: `${name}.${n}` },
        ],
        [secret],
      );
      for (const { seq, leafHash } of receipts) say(`ack ${seq} ${leafHash} ${secret.commitment}`);
    }
  };
  await Promise.all(Array.from({ length: Number(callers) }, (_, name) => caller(name)));
} catch (error) {
  say(`stopped ${(error as Error).name} ${(error as Error).message}`);
  if (callers !== '0') process.exitCode = 3;
}
