// Who is calling, over HTTP: nobody passes without a credential, each agent sees and may do what is its own, and a session stays with who
// opened it.

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { callsOf } from '../support/evidence.ts';
import { denialOf, INITIALIZE, RawHttp } from '../support/raw-mcp.ts';
import { type ReferenceGate, referenceGate } from '../support/reference-gate.ts';
import { LINES, metaOf, sdkOverHttp } from '../support/sdk-clients.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'https://gate.example/mcp';
const developer = generateApiKey();
const reader = generateApiKey();

let reference: ReferenceGate;
let gate: RunningCommand;
let url: string;
let token: (claims: { sub?: string; audience?: string; expires?: string }) => Promise<string>;
let foreignToken: string;

beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const foreign = await generateKeyPair('ES256');
  const sign = (key: Parameters<SignJWT['sign']>[0], { sub = 'auditor-7', audience = AUDIENCE, expires = '5m' }) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setSubject(sub)
      .setIssuedAt('-10m')
      .setExpirationTime(expires)
      .setJti('j1')
      .sign(key);
  token = (claims) => sign(privateKey, claims);
  foreignToken = await sign(foreign.privateKey, {});
  reference = referenceGate({
    agents: {
      coder: { roles: ['dev'], auth: { apiKey: developer.digest } },
      reader: { roles: [], auth: { apiKey: reader.digest } },
      auditor: { roles: [], auth: { jwt: { sub: 'auditor-7' } } },
    },
    identity: { jwt: [{ issuer: ISSUER, audience: AUDIENCE, jwks: 'jwks.json', algorithms: ['ES256'] }] },
  });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  reference.at.write('home/jwks.json', JSON.stringify({ keys: [jwk] }));
  gate = reference.at.start(['serve', '--http', '127.0.0.1:0']);
  url = await urlOf(gate);
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await closeInstallations();
});

const bearer = (credential: string): { authorization: string } => ({ authorization: `Bearer ${credential}` });

async function statusOf(headers: Record<string, string>): Promise<number> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE });
  return (await new RawHttp(url, headers).post(body)).status;
}

describe('without a good credential', () => {
  proves('G4', 'nobody gets in: each is 401 and no more is said', async () => {
    const cases: Record<string, Record<string, string>> = {
      none: {},
      'an empty header': { authorization: '' },
      'another scheme': { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` },
      'an unknown key': bearer(generateApiKey().key),
      'a digest instead of the key': bearer(developer.digest),
      'one letter off': bearer(`${developer.key.slice(0, -1)}${developer.key.endsWith('A') ? 'B' : 'A'}`),
      'an expired token': bearer(await token({ expires: '-5m' })),
      'a token for somebody else': bearer(await token({ audience: 'https://other.example' })),
      'a token of nobody we know': bearer(await token({ sub: 'stranger' })),
      'a token signed by another key': bearer(foreignToken),
      'a token without a signature': bearer(`${(await token({})).split('.').slice(0, 2).join('.')}.`),
    };
    for (const [what, headers] of Object.entries(cases)) expect(await statusOf(headers), what).toBe(401);
  });

  it('with one, each gets in', async () => {
    for (const credential of [developer.key, reader.key, await token({})])
      expect(await statusOf(bearer(credential))).toBe(200);
  });
});

describe('a WebSocket', () => {
  proves('G9', 'ends when the token that opened it does, and that is in the ledger', async () => {
    // It ends after the tolerance between two clocks, five seconds.
    const client = new WebSocketClient(url.replace('http:', 'ws:'), {
      headers: bearer(await token({ expires: '1s' })),
    });
    expect(await client.opened()).toBe(101);
    client.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }));
    await client.until((received) => received.length === 1);
    expect(await client.end(20_000)).toBe(1008);
    const refused = (await callsOf(reference.at, 'serve')).filter(({ agent }) => agent === 'auditor');
    expect(refused.map(({ code }) => code)).toEqual(['ID_UNAUTHENTICATED']);
  });
});

describe('a session', () => {
  it('cannot be used by another agent, nor without a credential, and lives on for its own', async () => {
    const mine = new RawHttp(`${url}/fs`, bearer(developer.key));
    await mine.initialize();
    const call = JSON.stringify({
      jsonrpc: '2.0',
      id: 9,
      method: 'tools/call',
      params: { name: 'write_file', arguments: { path: `${reference.workspace}/taken.txt`, content: 'x' } },
    });
    const { authorization: _, ...session } = mine.headers;
    for (const headers of [bearer(reader.key), bearer(await token({})), {}]) {
      const { status } = await new RawHttp(`${url}/fs`, { ...session, ...headers }).post(call);
      expect([401, 403, 404]).toContain(status);
    }
    const calls = await callsOf(reference.at, 'serve');
    expect(calls.filter(({ tool }) => tool === 'write_file')).toEqual([]);
    const read = await mine.call('read_text_file', { path: `${reference.workspace}/note.txt` });
    expect(denialOf(read)).toBeUndefined();
  });
});

describe.each(LINES)('two agents (the %s client)', (line) => {
  it('see different tools, and may do what they see', async () => {
    const [coder, other, auditor] = await Promise.all(
      [developer.key, reader.key, await token({})].map((credential) => sdkOverHttp(line, url, bearer(credential))),
    );
    if (coder === undefined || other === undefined || auditor === undefined) throw new Error('no clients');
    const readers = ['fs__list_directory', 'fs__read_text_file'];
    expect(await other.toolNames()).toEqual(readers);
    expect(await auditor.toolNames()).toEqual(readers);
    expect(await coder.toolNames()).toEqual(expect.arrayContaining([...readers, 'fs__write_file', 'everything__echo']));

    const path = `${reference.workspace}/${line}.txt`;
    await expect(other.call('fs__write_file', { path, content: 'x' })).rejects.toThrow(/Unknown tool: fs__write_file/);
    expect(metaOf(await coder.call('fs__write_file', { path, content: 'by the coder' }), 'receipt')).toBeDefined();
    const seen = await auditor.call('fs__read_text_file', { path });
    expect(JSON.stringify(seen.content)).toContain('by the coder');
    await Promise.all([coder.close(), other.close(), auditor.close()]);

    const calls = await callsOf(reference.at, 'serve');
    const writers = calls.filter(({ tool, status }) => tool === 'write_file' && status === 'completed');
    expect(new Set(writers.map(({ agent }) => agent))).toEqual(new Set(['coder']));
    expect(calls.at(-1)).toMatchObject({ agent: 'auditor', tool: 'read_text_file', status: 'completed' });
  });
});

describe('a listener that is not on loopback', () => {
  it('is refused when nobody has to prove anything', async () => {
    const { at } = referenceGate();
    const ended = await at.run(['serve', '--http', '0.0.0.0:0']);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/loopback|credential|authenticat/i);
  });
});
