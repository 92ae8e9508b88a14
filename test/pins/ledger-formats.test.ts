import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { open } from '../../adapters/crypto/node-crypto.ts';
import { verifyLedger } from '../../ledger/audit.ts';
import { toDigest } from '../../ledger/base64.ts';
import { utf8 } from '../../ledger/bytes.ts';
import { encodeEntry, prepareBody } from '../../ledger/entry-line.ts';
import { formatProof, parseProof, verifyProof } from '../../ledger/proof.ts';
import { formatVerifierKey } from '../../ledger/signed-note.ts';
import { type Frame, FrameSplitter, openFrame } from '../../ledger/vault.ts';
import { importSeed, sha256, verifierOf } from '../support/ledger.ts';
import { hasher } from '../support/memory-ledger.ts';

// The formats are what others rely on: the examples in their specifications are checked with the code, and the code with them.

const ORIGIN = 'portcullis.example/gate';
const VKEY = 'portcullis.example/gate+dca2658e+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4';

const page = (name: string) => readFileSync(new URL(`../../docs/formats/${name}.md`, import.meta.url), 'utf8');
const block = (name: string, language: string) =>
  new RegExp(`\`\`\`${language}\n([^\`]*)\`\`\``).exec(page(name))?.[1] ?? '';

describe('the worked examples', () => {
  it('of the ledger verify, and have the leaf hashes and the root that the page names', async () => {
    const bytes = utf8(block('ledger', 'jsonl'));
    const source = {
      name: '000000000000.jsonl',
      async *read() {
        yield bytes;
      },
    };
    const report = await verifyLedger([source], { hasher, origin: ORIGIN, verifier: verifierOf(VKEY), deep: true });
    expect(report).toMatchObject({ ok: true, size: 3 });
    expect(report.checkpoint).toContain(/Root of the three: `([^`]+)`/.exec(page('ledger'))?.[1]);
    const entries = Buffer.from(bytes)
      .toString()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    for (const [seq, line] of entries.entries())
      expect(page('ledger')).toContain(`    ${seq}  ${toDigest(hasher.leaf(utf8(line)))}\n`);
    expect(page('ledger')).toContain(VKEY);
    expect(
      formatVerifierKey(ORIGIN, importSeed(Uint8Array.from({ length: 32 }, (_, at) => at)).publicKey, sha256),
    ).toBe(VKEY);
  });

  it('of an entry is the line that header and body make', () => {
    const line = encodeEntry(
      {
        v: 1,
        log: ORIGIN,
        seq: 1,
        prev: 'sha256:P8DMYirilDe9yrjqMa3Cz4yiXG6U33fzIinF3sFdAu0',
        epoch: 1,
        ts: '2026-01-01T00:00:01.500Z',
        mono: 1_500_000,
      },
      prepareBody({
        type: 'call.intent',
        call: '01JZ0000000000000000000000',
        args: 'sha256:IGC0Xs20Yji6JCfPiC33TICiKDA_Co11Pqb1wgkK7xU',
      }),
    );
    expect(page('entry')).toContain(
      `    ${line}\n\nis ${utf8(line).length} bytes and has the leaf hash \`${toDigest(hasher.leaf(utf8(line)))}\``,
    );
    expect(block('ledger', 'jsonl')).toContain(`\n${line}\n`);
  });

  it('of a proof verifies with the key of the ledger page', () => {
    const text = block('proof', 'json');
    const proof = parseProof(utf8(text));
    if (proof === undefined) throw new Error('not a proof');
    expect(verifyProof(proof, verifierOf(VKEY), sha256)).toMatchObject({ ok: true, checkpoint: { size: 3 } });
    expect(formatProof(proof)).toBe(text);
  });

  it('of the vault opens', () => {
    const frames: Frame[] = [];
    new FrameSplitter((frame) => frames.push(frame)).push(Buffer.from(block('vault', 'hex').trim(), 'hex'));
    const key = Buffer.alloc(32, 7);
    const sealer = {
      seal: () => new Uint8Array(0),
      open: (sealed: Uint8Array, associated: Uint8Array) => open(key, sealed, associated),
    };
    const payload = openFrame(frames[0] as Frame, sealer, sha256);
    expect(Buffer.from(payload?.bytes ?? []).toString()).toBe('{"path":"/etc/hosts"}');
    expect(page('vault')).toContain(`    commitment  ${payload?.commitment}\n`);
  });
});
