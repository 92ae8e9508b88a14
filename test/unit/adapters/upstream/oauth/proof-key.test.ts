import { describe, expect, it } from 'vitest';
import { ProofKey } from '../../../../../adapters/upstream/http/oauth/proof-key.ts';
import { isNonce } from '../../../../../adapters/upstream/http/oauth/request-proofs.ts';
import { checkProof } from '../../../../support/proof-checks.ts';
import { newClientKey } from '../../../../support/protected-server.ts';

const URL_ASKED = new URL('https://mcp.example:8443/a/b?c=d#e');
const ABOUT = { method: 'POST', url: URL_ASKED, token: 'the-token', nonce: undefined };
const EXPECTED = { method: 'POST', url: 'https://mcp.example:8443/a/b', token: 'the-token' };

describe('a proof', () => {
  it.each([
    ['another method', { ...EXPECTED, method: 'GET' }],
    ['another address', { ...EXPECTED, url: 'https://mcp.example/a/b' }],
    ['another token', { ...EXPECTED, token: 'another' }],
  ])('is not one for %s', async (_what, expected) => {
    await expect(checkProof(ProofKey.generate().proof(ABOUT, Date.now()), expected)).rejects.toThrow('another request');
  });

  it('is for one request, by the key, and no two are the same', async () => {
    const key = ProofKey.generate();
    const [one, other] = [key.proof(ABOUT, Date.now()), key.proof({ ...ABOUT, nonce: 'n' }, Date.now())];
    const [first, second] = [await checkProof(one, EXPECTED), await checkProof(other, EXPECTED)];
    expect(first.jkt).toBe(second.jkt);
    expect(first.jti).not.toBe(second.jti);
    expect([first.nonce, second.nonce]).toEqual([undefined, 'n']);
  });

  it('is by the same key after that was stored', async () => {
    const key = ProofKey.generate();
    const again = new ProofKey(key.pem);
    const now = Date.now();
    const made = await Promise.all([key, again].map((one) => checkProof(one.proof(ABOUT, now), EXPECTED)));
    expect(made[0]?.jkt).toBe(made[1]?.jkt);
    expect((await again.session(await import('@modelcontextprotocol/client'))).thumbprint).toBe(made[0]?.jkt);
  });
});

describe('a key', () => {
  it.each([
    ['text', 'no key'],
    ['a public key', newClientKey().publicKey.export({ type: 'spki', format: 'pem' }).toString()],
  ])('is not %s', (_what, pem) => {
    expect(() => new ProofKey(pem)).toThrow();
  });
});

describe('a nonce', () => {
  it.each(['', 'with space', 'quo"ted', 'back\\slash', 'a'.repeat(1_025), 'line\n'])('is not %j', (text) => {
    expect(isNonce(text)).toBe(false);
  });
});
