// The worked example of docs/formats/permit.md: a permit by a test key, from inputs that are written there.

import { importSigningKey, sha256 } from '../../adapters/crypto/node-crypto.ts';
import { mintPermit, permitSigner } from '../../control-plane/permits/mint.ts';
import { encodeBase64url } from '../../domain/base64url.ts';
import type { Digest } from '../../domain/digest.ts';

/** The seed is 31 zero bytes and a one. Never use it for anything but this. */
const PKCS8 = Buffer.concat([
  Buffer.from('302e020100300506032b657004220420', 'hex'),
  Buffer.alloc(31),
  Buffer.from([1]),
]);

const imported = importSigningKey(
  `-----BEGIN PRIVATE KEY-----\n${PKCS8.toString('base64')}\n-----END PRIVATE KEY-----\n`,
);
if (imported === undefined) throw new Error('the test key is not a key');
export const vectorKey = imported;

function digestOf(text: string): Digest {
  return `sha256:${encodeBase64url(sha256(Buffer.from(text)))}`;
}

const CALL = '01KAJ0000000000000000CA001';

export function vectorPermit(): string {
  return mintPermit(
    {
      call: CALL,
      at: 1_795_250_000_250,
      principal: {
        agent: 'coder',
        roles: ['developer'],
        root: true,
        authentication: 'local',
        connection: digestOf('connection'),
      },
      method: 'tools/call',
      server: 'fs',
      tool: 'write_file',
      argumentsJson: '{"content":"hello","path":"/w/a.txt"}',
      args: digestOf('args'),
      req: digestOf('req'),
      definition: digestOf('definition'),
      attestation: digestOf('attestation'),
      lineage: { root: CALL, node: CALL, parent: null, depth: 0 },
      governance: { state: 'normal', epoch: 7, revocation: 3, boot: '01KAJ0000000000000000B0001' },
      limits: { timeoutMs: 30_000, outputBytes: 1_048_576 },
    },
    {
      policy: digestOf('policy'),
      version: 7,
      by: ['fs-write-workspace'],
      approvals: [],
      obligations: ['timeoutMs=5000'],
      limits: { timeoutMs: 5_000, outputBytes: 1_048_576 },
    },
    { instance: 'example', gateway: 'gw', ttlMs: 15_000 },
    permitSigner(vectorKey.kid, vectorKey.sign, sha256),
    '01KAJ0000000000000000JT001',
  );
}
