// The command on ledgers that were signed as they are: what it finds was written so, not altered.

import { afterEach, expect, it } from 'vitest';
import { verify, verifyTogether } from '../../../cli/commands/verify.ts';
import { type Output, output } from '../../../cli/output.ts';
import { proves } from '../../guarantees.ts';
import { History } from '../../support/history.ts';
import { fileLedgerOptions, openFileLedger, temporaryFolder, testKey } from '../../support/ledger.ts';

const folders: ReturnType<typeof temporaryFolder>[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});

/** A ledger with these entries, signed and in order. */
async function written({ entries, log }: History): Promise<{ readonly dir: string; readonly key: string }> {
  const folder = temporaryFolder();
  folders.push(folder);
  const key = testKey(log);
  const { ledger } = await openFileLedger(fileLedgerOptions(folder.path, key, { origin: log }));
  for (const { v: _v, log: _log, seq: _seq, epoch: _epoch, ts: _ts, ...body } of entries) await ledger.append([body]);
  await ledger.close();
  return { dir: `${folder.path}/ledger`, key: key.verifierKey };
}

function listening(json: boolean): { readonly out: Output; readonly said: () => string } {
  let said = '';
  const keep = { write: (text: string) => (said += text) };
  return { out: output(json, { stdout: keep, stderr: keep }), said: () => said };
}

proves('G10', 'a chain that was never allowed is found in a ledger that is signed and whole', async () => {
  const { dir, key } = await written(new History().intent('root').ending('root').intent('c', { parent: 'root' }));
  const { out, said } = listening(false);
  expect(await verify(dir, { key }, out)).toBe(5);
  expect(said()).toContain('NOT VERIFIED  1 finding(s)');
  expect(said()).toContain('chain, parent: entry 3, call c: its parent root is not known, or long over');

  const asked = listening(true);
  expect(await verify(dir, { key }, asked.out)).toBe(5);
  expect(JSON.parse(asked.said())).toMatchObject({
    ok: false,
    findings: [],
    chains: { calls: 2, findings: [{ rule: 'parent', seq: 3, call: 'c' }] },
  });
});

proves('G10', 'a call that was denied for an earlier one that it was not is found, too', async () => {
  const history = new History().intent('one', { server: 'fs' }).ending('one');
  const told = { server: 'fs', tool: 't', method: 'tools/call', principal: { agent: 'a' }, args: null };
  const events = [
    { type: 'call.requested', call: 'two', ...told },
    { type: 'decision.denied', code: 'RETRY_OF_UNKNOWN', by: [], detail: 'one ended with TOOL_LOST' },
  ];
  const { dir, key } = await written(history.entry('call.denial', { call: 'two', code: 'RETRY_OF_UNKNOWN', events }));
  const { out, said } = listening(false);
  expect(await verify(dir, { key }, out)).toBe(5);
  expect(said()).toMatch(/made again: entry \d+, call two: of one it is known how it ended/);
  const asked = listening(true);
  await verify(dir, { key }, asked.out);
  expect(JSON.parse(asked.said())).toMatchObject({ ok: false, retries: { denied: 1, findings: [{ call: 'two' }] } });
});

it('a chain that may be is verified, and not looked at in a hurry', async () => {
  const { dir, key } = await written(
    new History().intent('root').intent('c', { parent: 'root' }).ending('c').ending('root'),
  );
  const { out, said } = listening(true);
  expect(await verify(dir, { key }, out)).toBe(0);
  expect(JSON.parse(said())).toMatchObject({ ok: true, chains: { calls: 2, findings: [] } });
  const hurried = listening(true);
  expect(await verify(dir, { key, quick: true }, hurried.out)).toBe(0);
  expect(JSON.parse(hurried.said())).not.toHaveProperty('chains');
});

it('ledgers of several gates are verified one by one and then together', async () => {
  const one = new History('portcullis.test/one').intent('parent');
  const above = await written(one);
  const leaf = { log: one.log, seq: 1, leaf: 'sha256:CQdyz0Bolz2q0_cV63iNOf4sAr5C79ht6B8OWRmNYjc' };
  const told = { parent: 'parent', issuer: 'urn:one', lies: { entry: leaf } };
  const below = await written(new History('portcullis.test/two', one).intent('child', told));
  const keys = [below.key, above.key];
  const { out, said } = listening(false);
  expect(await verifyTogether([above.dir, below.dir], { keys }, out)).toBe(5);
  expect(said().match(/^verified/gm)).toHaveLength(2);
  expect(said()).toContain('NOT LINKED  1 links between these ledgers');
  expect(said()).toContain('entry 1, call child: entry 1 of portcullis.test/one is another one');
  await expect(verifyTogether([above.dir, below.dir], { keys: [above.key] }, out)).rejects.toThrow('none of the keys');
  await expect(verifyTogether([above.dir], { keys, quick: true }, out)).rejects.toThrow('for one ledger');
});
