// What the gate sends to remote servers to be let in is between the gate and them, though every one of these servers says it back in every way
// that it has. And the gate goes to them by no proxy that its environment names.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { spkiPin } from '../../adapters/crypto/spki-pin.ts';
import { openSecret } from '../../adapters/storage/key-file.ts';
import { readPayloads } from '../../adapters/storage/ledger-reader.ts';
import { vaultSealer } from '../../cli/ledger.ts';
import type { Digest } from '../../domain/digest.ts';
import { proves } from '../guarantees.ts';
import { selfSigned } from '../support/certificates.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { callsOf, entriesOf } from '../support/evidence.ts';
import { ProtectedWorld } from '../support/protected-server.ts';
import { denialOf, RawHttp, type RawReply, textOf } from '../support/raw-mcp.ts';
import { type Plan, RemoteFixture, WAYS } from '../support/remote-servers.ts';

const TOKEN = 'canary-bearer-7f3a9c';
const KEY = 'canary-header-51d0be88';
const CLIENT_SECRET = 'canary-client-secret-0b71';
/** How a server says it back. */
const TOOLS = ['result', 'error', 'escaped', 'structured', 'notified'] as const;

const plan: Plan = ({ params }, say, { headers }) => {
  const text = JSON.stringify(headers);
  switch (params?.name as (typeof TOOLS)[number] | 'plain') {
    case 'result':
      return { result: { content: [{ type: 'text', text }] } };
    case 'error':
      return { error: { code: -32001, message: `refused ${text}`, data: { ...headers } } };
    case 'escaped': {
      const codes = [...TOKEN].map((character) => `\\u00${character.charCodeAt(0).toString(16)}`).join('');
      return { result: { content: [{ type: 'text', text: JSON.parse(`"${codes}"`) as string }] } };
    }
    case 'structured':
      return { result: { content: [], structuredContent: { [KEY]: { [TOKEN]: 1 } } } };
    case 'notified':
      say({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'error', data: text } });
      return { error: { code: -32002, message: TOKEN } };
    default:
      return { result: { content: [{ type: 'text', text: 'plain' }] } };
  }
};

let at: Installation;
let gate: RunningCommand;
let client: RawHttp;
let remotes: readonly RemoteFixture[] = [];
let strange: RemoteFixture;
const world = new ProtectedWorld();
const heard: RawReply[] = [];
let proxied = 0;
const proxy = createServer((socket) => {
  proxied++;
  socket.on('error', () => undefined).destroy();
});
const right = selfSigned();

beforeAll(async () => {
  await world.start();
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  remotes = await Promise.all(WAYS.map(() => RemoteFixture.start({ plan, tools: ['plain', ...TOOLS] })));
  strange = await RemoteFixture.start({ tls: right });
  Object.assign(world.authorization, { proofs: ['ES256'], clients: { gate: { secret: CLIENT_SECRET } } });
  Object.assign(world.server, { schemes: ['DPoP'], bound: 'required', repeats: true });
  at = installation();
  const oauth = {
    grant: 'client_credentials',
    clientId: 'gate',
    clientSecretEnv: 'CLIENT_SECRET',
    issuer: world.issuer,
    dpop: 'required',
  };
  const headers = { 'X-Api-Key': { env: 'KEY' } };
  const remote = (url: string | undefined) => ({ url, auth: { env: 'TOKEN' }, headers });
  const pins = [spkiPin(selfSigned().publicKey)];
  at.configure(
    {
      agents: { me: { roles: ['dev'], auth: 'local' } },
      servers: {
        http: { http: remote(remotes[0]?.url('http')) },
        sse: { sse: remote(remotes[1]?.url('sse')) },
        ws: { ws: remote(remotes[2]?.url('ws')) },
        token: { http: { url: world.url, oauth } },
        strange: { http: { ...remote(strange.url('http')), pins } },
      },
    },
    '@id("all")\n@reason("a test")\npermit (principal, action, resource);\n',
  );
  // Nobody could have been asked: it is approved as what it would say behind the right key.
  await at.approveAs('strange', [{ name: 'look', inputSchema: { type: 'object' } }]);
  const way = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  gate = at.start(['serve', '--name', 'g', '--http', '127.0.0.1:0'], {
    env: {
      TOKEN,
      KEY,
      CLIENT_SECRET,
      NODE_EXTRA_CA_CERTS: at.write('ca.pem', right.cert),
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: way,
      HTTPS_PROXY: way,
      ALL_PROXY: way,
      http_proxy: way,
      https_proxy: way,
    },
  });
  client = new RawHttp(await urlOf(gate));
  await client.initialize();
  const listed = async () => JSON.stringify(await client.ask('tools/list'));
  for (const name of ['http__plain', 'sse__plain', 'ws__plain', 'token__echo'])
    await vi.waitFor(async () => expect(await listed()).toContain(name), { timeout: 20_000, interval: 100 });
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await closeInstallations();
  await world.stop();
  await Promise.all([...remotes, strange].map((one) => one?.stop()));
  await new Promise((resolve) => proxy.close(resolve));
});

async function call(name: string): Promise<RawReply> {
  const reply = await client.call(name, {});
  heard.push(reply);
  return reply;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : statSync(path).isFile() ? [path] : [];
  });
}

/** Everything that the ledger committed to, in the clear. */
async function payloads(): Promise<string> {
  const entries = JSON.stringify(await entriesOf(at.ledger('g')));
  const named = new Set([...entries.matchAll(/"commitment":"(sha256:[\w-]{43})"/g)].map(([, one]) => one as Digest));
  const opened = openSecret(join(at.home, 'state', 'keys'), 'vault');
  if ('fault' in opened) throw new Error(opened.fault);
  const found = await readPayloads(at.ledger('g'), named, vaultSealer(opened.secret), sha256);
  expect(found.size).toBeGreaterThan(0);
  return [...found.values()].map(({ bytes }) => Buffer.from(bytes ?? []).toString('latin1')).join('\n');
}

describe('what the gate says to be let in', () => {
  proves('G4', 'is released in no answer, however the server repeats it', async () => {
    for (const way of WAYS) {
      expect(textOf(await call(`${way}__plain`))).toBe('plain');
      for (const tool of TOOLS)
        expect(denialOf(await call(`${way}__${tool}`)), `${way} ${tool}`).toBe('OUTPUT_INVALID');
      expect(textOf(await call(`${way}__plain`))).toBe('plain');
    }
    expect(denialOf(await call('token__echo'))).toBe('OUTPUT_INVALID');
  });

  it('goes to no key but the pinned one: the call is denied for it, and recorded', async () => {
    const { tools } = (await client.ask('tools/list')).result as { tools: { name: string }[] };
    expect(tools.map(({ name }) => name)).not.toContain('strange__look');
    expect(denialOf(await call('strange__look'))).toBe('ENV_TLS_PIN');
    const last = (await callsOf(at, 'g')).findLast(({ code }) => code === 'ENV_TLS_PIN');
    expect(last).toMatchObject({ agent: 'me', intent: undefined });
    expect(strange.connections).toBeGreaterThan(0);
    expect(strange.requests).toEqual([]);
  });

  proves('G4', 'is nowhere else: no message, no log, no file, no payload', async () => {
    const tokens = world.seen.flatMap(({ authorization = '' }) => authorization.split(' ')[1] ?? []);
    const proofs = world.seen.flatMap(({ proof }) => proof ?? []);
    expect(tokens.length).toBeGreaterThan(0);
    expect(proofs.length).toBeGreaterThan(0);
    const seen = remotes.flatMap(({ requests }) => requests.map(({ headers }) => headers));
    expect(
      seen.every(({ authorization, 'x-api-key': key }) => authorization === `Bearer ${TOKEN}` && key === KEY),
    ).toBe(true);
    const written = filesBelow(at.home).map((path) => readFileSync(path, 'latin1'));
    const everything = [...written, await payloads(), gate.stdout, gate.stderr, JSON.stringify(heard)].join('\n');
    for (const secret of [TOKEN, KEY, CLIENT_SECRET, ...tokens, ...proofs])
      expect(everything.includes(secret), secret.slice(0, 12)).toBe(false);
    for (const secret of [TOKEN, KEY]) {
      const encoded = Buffer.from(secret).toString('base64url');
      expect(everything.includes(encoded), `${secret.slice(0, 12)} encoded`).toBe(false);
    }
    for (const command of ['verify', 'replay']) {
      const { code, stdout, stderr } = await at.run([command, at.ledger('g')]);
      expect({ command, code, said: stdout + stderr }).toMatchObject({ code: 0 });
    }
  });

  it('goes by no proxy that our environment names', () => {
    expect(proxied).toBe(0);
  });
});

describe('a review of a server over TLS', () => {
  it('says which key it showed and whether that is pinned, and of a wrong one nothing else', async () => {
    const key = spkiPin(right.publicKey);
    const url = strange.url('http');
    const servers = {
      open: { http: { url } },
      held: { http: { url, pins: [key] } },
      wrong: { http: { url, pins: [spkiPin(selfSigned().publicKey)] } },
      plain: { http: { url: remotes[0]?.url('http') } },
    };
    const file = at.configure({ agents: { me: { roles: [], auth: 'local' } }, servers }, '', 'reviewed');
    const env = { NODE_EXTRA_CA_CERTS: at.path('ca.pem') };
    const { stdout } = await at.run(['tools', 'review', '--json', '--config', file], { env });
    const { servers: reviewed } = JSON.parse(stdout) as {
      servers: { server: string; tls: unknown; problem?: string }[];
    };
    expect(reviewed.map(({ server, tls }) => [server, tls])).toEqual([
      ['open', { keys: [key], pinned: false }],
      ['held', { keys: [key], pinned: true }],
      ['wrong', null],
      ['plain', null],
    ]);
    expect(reviewed[2]?.problem).toContain(`it showed the key ${key}, which is not pinned`);
    const told = await at.run(['tools', 'review', 'open', '--config', file], { env });
    expect(told.stdout).toContain(`TLS key ${key} (not pinned; to hold it to this key, write it into its "pins")`);
  });
});
