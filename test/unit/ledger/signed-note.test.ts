import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { verifyEd25519 } from '../../../adapters/crypto/node-crypto.ts';
import { fromBase64, toBase64 } from '../../../ledger/base64.ts';
import { formatCheckpoint, openCheckpoint, parseCheckpoint, parseCheckpointBody } from '../../../ledger/checkpoint.ts';
import { treeHasher } from '../../../ledger/leaf.ts';
import {
  formatVerifierKey,
  isKeyName,
  noteSigner,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
} from '../../../ledger/signed-note.ts';
import { formatTlogProof, parseTlogProof } from '../../../ledger/tlog-proof.ts';
import { importSeed, sha256, testKey } from '../../support/ledger.ts';
import { vectors } from '../../support/vectors.ts';

const path = vectors('signed-note/vectors.json');
const absent = path === undefined ? ' (the shared vectors are not here)' : '';
const load = (name: string) => JSON.parse(readFileSync(vectors(name) as string, 'utf8'));
const parse = (vkey: string) => parseVerifierKey(vkey, verifyEd25519, sha256);

/** A signer of a key in the text form that Go's note package writes. */
function signerOf(skey: string) {
  const [, name, encoded] = /^PRIVATE\+KEY\+([^+]+)\+[0-9a-f]{8}\+(.+)$/.exec(skey) ?? [];
  return noteSigner(name as string, importSeed(Buffer.from(encoded as string, 'base64').subarray(1)), sha256);
}

describe('verifier keys', () => {
  it.skipIf(path === undefined)(`are read and written as others do${absent}`, () => {
    const { vkeys_valid, vkeys_invalid } = load('signed-note/vectors.json');
    for (const { vkey } of vkeys_invalid) expect(parse(vkey)).toBeUndefined();
    for (const vkey of vkeys_valid) {
      const verifier = parse(vkey);
      const publicKey = Buffer.from(vkey.split('+').slice(2).join('+'), 'base64').subarray(1);
      expect(formatVerifierKey(verifier?.name ?? '', publicKey, sha256)).toBe(vkey);
    }
  });

  it.skipIf(path === undefined)(`are refused when any part is missing or any byte is another${absent}`, () => {
    const vkey = load('signed-note/vectors.json').vkeys_valid[0] as string;
    for (let start = 0; start < vkey.length; start++) {
      for (let end = start; end <= vkey.length; end++) {
        if (end - start < vkey.length) expect(parse(vkey.slice(start, end))).toBeUndefined();
      }
    }
    for (let at = 0; at < vkey.length; at++) {
      const changed = vkey.slice(0, at) + String.fromCharCode(vkey.charCodeAt(at) + 1) + vkey.slice(at + 1);
      expect(parse(changed)).toBeUndefined();
    }
  });

  it.each([[''], ['a b'], ['a+b'], ['a\u00a0b'], ['a\u0085b'], ['a\nb'], ['\ud800']])(
    'have no name like %j',
    (name) => {
      expect(isKeyName(name)).toBe(false);
    },
  );
});

describe('notes', () => {
  it.skipIf(path === undefined)(`are signed to the byte like others sign them${absent}`, () => {
    const { skey, text, want } = load('signed-note/vectors.json').sign;
    expect(signNote(text, [signerOf(skey)])).toBe(want);
  });

  it.skipIf(path === undefined)(`are opened and refused like the public vectors say${absent}`, () => {
    const reasons: string[] = [];
    for (const { name, note_b64, known, want, verified, unverified } of load('signed-note/vectors.json').open) {
      const opened = openNote(Buffer.from(note_b64, 'base64'), known.map(parse));
      const result = opened.ok ? 'ok' : opened.reason;
      expect({ name, result }).toEqual({ name, result: want.split(' (')[0] });
      reasons.push(result);
      if (opened.ok && verified !== undefined) expect(opened.verified.map((each) => each.name)).toEqual(verified);
      if (opened.ok && unverified !== undefined) expect(opened.unverified.map((each) => each.name)).toEqual(unverified);
    }
    expect(new Set(reasons)).toEqual(new Set(['ok', 'malformed', 'unverified', 'invalid signature']));
  });

  it.skipIf(path === undefined)(`of the public example of cosigned checkpoints parse${absent}`, () => {
    const [example] = load('signed-note/vectors.json').checkpoint_examples;
    const note = parseNote(Buffer.from(example.note_b64, 'base64'));
    expect(note?.signatures).toHaveLength(2);
    expect(parseCheckpoint(note?.text ?? '')?.size).toBe(20852163);
  });

  it.skipIf(path === undefined)(`of a public checksum database open with its key${absent}`, () => {
    const { log, requests } = load('witness/torchwood/sumdb-checkpoint.json');
    const note = requests[0].request_body.slice('old 0\n\n'.length);
    const verifier = parse(log.vkey);
    expect(openCheckpoint(note, log.origin, verifier as never)?.size).toBe(35225469);
    expect(openCheckpoint(note.replace('35225469', '35225468'), log.origin, verifier as never)).toBeUndefined();
    expect(openCheckpoint(note, 'another', verifier as never)).toBeUndefined();
  });
});

describe('checkpoints', () => {
  it.skipIf(path === undefined)(`have the public grammar${absent}`, () => {
    const { cases, record_hash } = load('signed-note/checkpoint-body.json');
    for (const { desc, text, ok, origin, size, rest } of cases) {
      const body = parseCheckpointBody(text);
      expect({ desc, ok: body !== undefined }).toEqual({ desc, ok });
      if (body !== undefined) expect(body).toMatchObject({ origin, size, rest });
    }
    expect(toBase64(treeHasher(sha256).leaf(Buffer.from(record_hash.data_utf8)))).toBe(record_hash.leaf_hash_b64);
  });

  it('are refused in every other spelling of the same content', () => {
    const text = formatCheckpoint({ origin: 'log', size: 12, root: sha256(Buffer.from('x')) });
    expect(parseCheckpoint(text)?.size).toBe(12);
    const others = [
      text.replace('12', '012'),
      text.replace('12', '+12'),
      text.replace('=\n', '\n'),
      `${text}more\n`,
      text.slice(0, -1),
      `\n${text}`,
    ];
    for (const other of [...others, text.replace('12', '9007199254740993'), text.replace(/\n/g, '\r\n')]) {
      expect(parseCheckpoint(other)).toBeUndefined();
    }
  });

  it('are refused after a change of any one bit', () => {
    const { signer, verifier } = testKey('log');
    const note = Buffer.from(
      signNote(formatCheckpoint({ origin: 'log', size: 12, root: sha256(Buffer.from('x')) }), [signer]),
    );
    expect(openCheckpoint(note, 'log', verifier)?.size).toBe(12);
    for (let bit = 0; bit < note.length * 8; bit++) {
      const changed = Buffer.from(note);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(openCheckpoint(changed, 'log', verifier)).toBeUndefined();
    }
  });
});

describe('base64', () => {
  it.each([['AA='], ['AA'], ['AB=='], ['AAB='], ['A A='], ['AAA=\n'], ['AAAA='], ['='], ['AA=A'], ['AA-_']])(
    'refuses %j',
    (text) => {
      expect(fromBase64(text)).toBeUndefined();
    },
  );

  it('reads what it writes, as the platform does', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = sha256(Uint8Array.of(length)).subarray(0, length % 32);
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
      expect(fromBase64(toBase64(bytes))).toEqual(new Uint8Array(bytes));
    }
  });
});

describe('tlog proofs', () => {
  it.skipIf(path === undefined)(`are refused and read like the public vectors say${absent}`, () => {
    const { valid, invalid } = load('tlog-proof/vectors.json');
    for (const { name, text } of invalid)
      expect({ name, proof: parseTlogProof(text) }).toEqual({ name, proof: undefined });
    for (const { index, hashes, checkpoint, extra, text } of valid) {
      const proof = parseTlogProof(text);
      expect(proof).toMatchObject({ index, checkpoint });
      expect(proof?.hashes.map(toBase64)).toEqual(hashes);
      expect(proof?.extra === undefined ? null : toBase64(proof.extra)).toBe(extra);
      expect(formatTlogProof(proof as never)).toBe(text);
    }
  });
});
