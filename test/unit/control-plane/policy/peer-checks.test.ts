import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';

const KEY = 'A'.repeat(43);
const PEER = { issuer: 'urn:portcullis:b', key: KEY };
const WORKER = { root: false, auth: { jwt: { sub: 'w', proofKey: KEY } }, peers: ['b'] };
const BASE = {
  apiVersion: 'portcullis/v1',
  identity: { jwt: [{ issuer: 'https://i.example', audience: 'a', jwks: 'keys.json', algorithms: ['Ed25519'] }] },
  agents: { w: WORKER },
  servers: { work: { http: { url: 'https://work.example/mcp' }, agent: 'w' } },
  peers: { b: PEER },
};

function problemsOf(more: object): string[] {
  const result = parseManifest(JSON.stringify({ ...BASE, ...more }), 'p.yaml');
  return result.ok ? [] : result.problems.map(({ message }) => message);
}

describe('peers in a manifest are refused', () => {
  it.each<[string, object, string]>([
    ['with a key that is none', { peers: { b: { ...PEER, key: 'secret' } } }, 'not a public key'],
    ['with an issuer that is none', { peers: { b: { ...PEER, issuer: 'a b' } } }, 'not an issuer'],
    ['with a member that nobody knows', { peers: { b: { ...PEER, keys: [] } } }, 'unknown key "keys"'],
    ['over http', { peers: { b: { ...PEER, url: 'https://b.example/peer' } } }, 'not the address of a gate'],
    ['in the clear, elsewhere', { peers: { b: { ...PEER, url: 'ws://b.example/peer' } } }, 'reached over wss'],
    ['with a password', { peers: { b: { ...PEER, url: 'wss://u:p@b.example/peer' } } }, 'no user, query or fragment'],
    ['with a query', { peers: { b: { ...PEER, url: 'wss://b.example/peer?x=1' } } }, 'no user, query or fragment'],
    ['of one issuer', { peers: { b: PEER, c: { ...PEER, key: 'B'.repeat(43) } } }, '"b" and "c" have the same issuer'],
    ['of one key', { peers: { b: PEER, c: { ...PEER, issuer: 'urn:portcullis:c' } } }, '"b" and "c" have the same key'],
  ])('%s', (_, more, message) => {
    expect(problemsOf(more).join('\n')).toContain(message);
  });

  it.each<[string, object, string]>([
    ['that is not there', { ...WORKER, peers: ['c'] }, 'there is no peer "c"'],
    ['twice', { ...WORKER, peers: ['b', 'b'] }, '"b" is named twice'],
    ['without a key of its own', { ...WORKER, auth: { jwt: { sub: 'w' } } }, 'by a key of its own only'],
    ['with an API key alone', { ...WORKER, auth: { apiKey: `sha256:${KEY}` } }, 'by a key of its own only'],
  ])('of an agent %s', (_, w, message) => {
    expect(problemsOf({ agents: { w } }).join('\n')).toContain(message);
  });

  it('of an agent that is behind no server', () => {
    expect(problemsOf({ servers: {} }).join('\n')).toContain('no server is the agent "w"');
  });
});

describe('peers in a manifest', () => {
  it.each(['wss://b.example/peer', 'ws://127.0.0.1:7300/peer', 'ws://[::1]:7300/peer'])('may be at %s', (url) => {
    expect(problemsOf({ peers: { b: { ...PEER, url } } })).toEqual([]);
  });

  it.each<[string, object]>([
    ['a key', { proofKey: KEY }],
    ['a token that is bound to one', WORKER.auth],
    ['the key of its certificate', { spki: [`sha256:${KEY}`] }],
  ])('may be for an agent that proves %s', (_, auth) => {
    const listen = { tls: { cert: 'cert.pem', key: 'key.pem' } };
    expect(problemsOf({ listen, agents: { w: { ...WORKER, auth } } })).toEqual([]);
  });

  it('may dial us', () => {
    expect(problemsOf({})).toEqual([]);
  });
});
