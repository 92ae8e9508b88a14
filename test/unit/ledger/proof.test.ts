import { beforeAll, describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../adapters/storage/memory-store.ts';
import { concatBytes, utf8 } from '../../../ledger/bytes.ts';
import { GrowingTree, inclusionProof } from '../../../ledger/merkle-tree.ts';
import { formatProof, type Proof, parseProof, verifyProof } from '../../../ledger/proof.ts';
import {
  encodeFrame,
  type Frame,
  FrameSplitter,
  openFrame,
  type Payload,
  verifyPayload,
} from '../../../ledger/vault.ts';
import { proves } from '../../guarantees.ts';
import { ORIGIN, payload, sealer, sha256, testKey } from '../../support/ledger.ts';
import { hasher, linesOf, openMemoryLedger } from '../../support/memory-ledger.ts';

const key = testKey();
const secret = payload('{"path":"/etc/hosts"}');
let proof: Proof;

beforeAll(async () => {
  const store = new MemoryStore();
  const { writer } = await openMemoryLedger(store, key);
  for (let n = 0; n < 20; n++) {
    await writer.append([
      { type: 'call.intent', call: `c${n}`, args: n === 7 ? secret.commitment : null },
      { type: 'call.ending', call: `c${n}` },
    ]);
  }
  const lines = linesOf(store.contents()).filter((line) => !line.commit);
  const nodes = new Map<string, Uint8Array>();
  const tree = new GrowingTree(hasher);
  for (const line of lines)
    tree.append(hasher.leaf(line.bytes), (node, hash) => nodes.set(`${node.level}/${node.index}`, hash));
  const entries = lines
    .filter((line) => Buffer.from(line.bytes).includes('"c7"'))
    .map(({ seq, bytes }) => ({
      index: seq,
      line: bytes,
      hashes: inclusionProof(hasher, seq, tree.size, (refs) =>
        refs.map((ref) => nodes.get(`${ref.level}/${ref.index}`) as Uint8Array),
      ),
    }));
  proof = { origin: ORIGIN, checkpoint: writer.note, entries, disclosures: [secret] };
});

const verify = (changed: Partial<Proof> = {}) => verifyProof({ ...proof, ...changed }, key.verifier, sha256);

describe('a proof file', () => {
  proves('G10', 'is accepted with the pinned key alone, and refused after any change', () => {
    const [intent, ending] = proof.entries;
    if (intent === undefined || ending === undefined) throw new Error('two entries');
    const other = payload('other');
    const refused: Partial<Proof>[] = [
      { origin: 'another' },
      { checkpoint: proof.checkpoint.replace('\n41\n', '\n42\n') },
      { entries: [] },
      { entries: [ending, intent] },
      { entries: [intent, intent] },
      { entries: [{ ...intent, index: intent.index + 1 }] },
      { entries: [{ ...intent, line: utf8(Buffer.from(intent.line).toString().replace('c7', 'c8')) }] },
      { entries: [{ ...intent, hashes: intent.hashes.slice(1) }] },
      { disclosures: [{ ...secret, bytes: utf8('{}') }] },
      { disclosures: [{ ...secret, salt: other.salt }] },
      { disclosures: [other] },
    ];
    for (const change of refused) expect(verify(change).ok).toBe(false);
    expect(verifyProof(proof, testKey().verifier, sha256).ok).toBe(false);
    const result = verify();
    expect(result).toMatchObject({
      ok: true,
      checkpoint: { size: 41 },
      entries: [{ type: 'call.intent' }, { type: 'call.ending' }],
    });
  });

  it('is refused after a flip of any bit that leaves it readable', () => {
    const bytes = Buffer.from(formatProof(proof));
    expect(verifyProof(parseProof(bytes) as Proof, key.verifier, sha256).ok).toBe(true);
    for (let at = 0; at < bytes.length; at += 3) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      const parsed = parseProof(flipped);
      // Spaces between members may become other white space; that changes nothing of what is proven.
      const ok = parsed !== undefined && verifyProof(parsed, key.verifier, sha256).ok;
      expect({ at, ok }).toEqual({ at, ok: at === bytes.length - 1 && ok });
    }
  });

  it('is written and read without loss, also indented', () => {
    expect(parseProof(utf8(formatProof(proof)))).toEqual(
      parseProof(utf8(JSON.stringify(JSON.parse(formatProof(proof)), null, 2))),
    );
    expect(formatProof(parseProof(utf8(formatProof(proof))) as Proof)).toBe(formatProof(proof));
  });

  it.each([
    ['another format', (text: string) => text.replace('portcullis-proof/v1', 'portcullis-proof/v2')],
    ['an unknown member', (text: string) => text.replace('{"checkpoint"', '{"added":1,"checkpoint"')],
    ['a repeated member', (text: string) => text.replace('{"checkpoint"', '{"origin":"x","checkpoint"')],
    ['loose base64', (text: string) => text.replace('=","', '","')],
    ['half of it', (text: string) => text.slice(0, text.length / 2)],
  ])('is no proof with %s', (_, change) => {
    expect(parseProof(utf8(change(formatProof(proof))))).toBeUndefined();
  });
});

describe('the vault', () => {
  const read = (chunks: Iterable<Uint8Array>) => {
    const frames: Frame[] = [];
    const splitter = new FrameSplitter((frame) => frames.push(frame));
    for (const chunk of chunks) splitter.push(chunk);
    return { frames, broken: splitter.broken };
  };
  const payloads: Payload[] = ['', 'a', 'b'.repeat(5000)].map(payload);
  const file = () => concatBytes(payloads.map((each) => encodeFrame(each, sealer)));

  it('opens no payload whose bytes, salt or commitment is another', () => {
    const [frame] = read([encodeFrame(payloads[1] as Payload, sealer)]).frames;
    if (frame === undefined) throw new Error('a frame');
    expect(openFrame(frame, sealer, sha256)).toMatchObject({ commitment: payloads[1]?.commitment });
    expect(openFrame({ ...frame, commitment: secret.commitment }, sealer, sha256)).toBeUndefined();
    expect(openFrame({ ...frame, sealed: frame.sealed.slice(1) }, sealer, sha256)).toBeUndefined();
    expect(openFrame(frame, { ...sealer, open: () => undefined }, sha256)).toBeUndefined();
    const lying = { ...sealer, open: () => concatBytes([new Uint8Array(32), utf8('a')]) };
    expect(openFrame(frame, lying, sha256)).toBeUndefined();
    expect(verifyPayload(sha256, { ...secret, salt: secret.salt.slice(1) })).toBe(false);
  });

  it('reads its records however the file is cut into chunks', () => {
    const bytes = file();
    for (const size of [1, 3, 64, 1000, bytes.length]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      const opened = read(chunks).frames.map((frame) => openFrame(frame, sealer, sha256));
      expect(opened.map((each) => Buffer.from(each?.bytes ?? []).toString())).toEqual(
        payloads.map((each) => Buffer.from(each.bytes).toString()),
      );
    }
  });

  it('reads what comes before a torn record, and nothing after', () => {
    const bytes = file();
    for (let cut = 0; cut < bytes.length; cut += 7) {
      const { frames } = read([bytes.subarray(0, cut)]);
      expect(frames.every((frame) => openFrame(frame, sealer, sha256) !== undefined)).toBe(true);
    }
    expect(read([concatBytes([file(), new Uint8Array(100)])]).broken).toBe(true);
  });
});
