// A gate that speaks TLS by itself, and an agent behind a server that is known by the key of its certificate.

import { request } from 'node:https';
import { afterAll, describe, expect, it } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { type Certificate, selfSigned } from '../support/certificates.ts';
import { closeInstallations, type Installation, installation } from '../support/cli.ts';
import { callsOf } from '../support/evidence.ts';
import { envelope } from '../support/modern-client.ts';
import { denialOf, type RawReply, textOf } from '../support/raw-mcp.ts';
import { ScriptedAgent } from '../support/scripted-agent.ts';

const HEADER = 'portcullis-lineage';
const RULES = `@id("all") @reason("who calls whom is not the question here")
permit (principal, action, resource);
`;
const gateCertificate = selfSigned({ name: 'gate' });
const planner = generateApiKey();

afterAll(closeInstallations);

interface Credential {
  readonly certificate?: Certificate;
  readonly headers?: Record<string, string>;
}

/** One call in the era without sessions, over TLS. */
function call(url: string, name: string, { certificate, headers }: Credential): Promise<RawReply> {
  const params = { name, arguments: {}, _meta: envelope() };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      ca: gateCertificate.cert,
      ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
      agent: false,
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': name,
        ...headers,
      },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      response.on('end', () => {
        const json = /^data: (.+)$/m.exec(text)?.[1] ?? text;
        resolve({ status: response.statusCode, ...(JSON.parse(json) as object) } as never);
      });
    });
    sent.end(body);
  });
}

async function pinOf(at: Installation, { cert }: Certificate, name: string): Promise<string> {
  const { stdout } = await at.run(['keys', '--of', at.write(`${name}.pem`, cert), '--json']);
  return String((JSON.parse(stdout) as JsonObject).spki);
}

describe('an agent with a certificate', () => {
  proves(
    'G11',
    'calls for what it was called for, and its token is of no use without its key',
    async () => {
      const at = installation();
      const [worker, stranger] = [selfSigned({ name: 'worker' }), selfSigned({ name: 'worker' })];
      const [working, tool] = [new ScriptedAgent('legacy'), new ScriptedAgent('legacy')];
      at.write('home/tls/cert.pem', gateCertificate.cert);
      at.write('home/tls/key.pem', gateCertificate.key);
      at.configure(
        {
          listen: { tls: { cert: 'tls/cert.pem', key: 'tls/key.pem' } },
          agents: {
            planner: { auth: { apiKey: planner.digest } },
            worker: { root: false, auth: { spki: await pinOf(at, worker, 'worker') } },
          },
          servers: { work: { ...(await working.listen()), agent: 'worker' }, tool: await tool.listen() },
        },
        RULES,
      );
      const gate = at.start(['serve', '--name', 'tls', '--http', '127.0.0.1:0']);
      await gate.says('listening on');
      const url = /listening on (https:\S+)/.exec(gate.stderr)?.[1] ?? '';
      const asPlanner = { headers: { authorization: `Bearer ${planner.key}` } };
      // A busy machine starts one server long after the other.
      for (const name of ['tool__work', 'work__work']) {
        const answered = async () => denialOf(await call(url, name, asPlanner));
        await expect.poll(answered, { timeout: 20_000 }).toBeUndefined();
      }
      tool.calls.length = 0;
      const outcomes: unknown[] = [];
      working.work = async ({ headers }) => {
        const shown = { [HEADER]: String(headers[HEADER]) };
        const said = (reply: RawReply): unknown => denialOf(reply) ?? (textOf(reply) || reply.error?.message);
        outcomes.push(said(await call(url, 'tool__work', { headers: shown })));
        outcomes.push(said(await call(url, 'tool__work', { headers: shown, certificate: stranger })));
        outcomes.push(said(await call(url, 'tool__work', { headers: { ...shown, ...asPlanner.headers } })));
        outcomes.push(said(await call(url, 'tool__work', { certificate: worker })));
        expect(tool.calls).toEqual([]);
        outcomes.push(said(await call(url, 'tool__work', { headers: shown, certificate: worker })));
        return 'worked';
      };
      expect(textOf(await call(url, 'work__work', asPlanner))).toBe('worked');
      expect(outcomes).toEqual([
        'the connection is not authenticated',
        'the connection is not authenticated',
        'LINEAGE_BEARER',
        'LINEAGE_MISSING',
        'done',
      ]);
      const done = (await callsOf(at, 'tls')).find(({ agent, status }) => agent === 'worker' && status === 'completed');
      expect(done).toBeDefined();
      await gate.stop();
      expect(await at.audit(['verify', at.ledger('tls')])).toMatchObject({ code: 0 });
      await Promise.all([working.close(), tool.close()]);
    },
    60_000,
  );
});

describe('a gate with a certificate', () => {
  const other = selfSigned();
  it.each<[string, Record<string, string>, RegExp]>([
    [
      'that is not there',
      { 'key.pem': gateCertificate.key },
      /portcullis\.yaml: listen\.tls\.cert cannot be read: .*ENOENT/,
    ],
    [
      'that is none',
      { 'cert.pem': 'x', 'key.pem': gateCertificate.key },
      /listen\.tls\.cert is not a certificate \(PEM\)/,
    ],
    [
      'and the key of another',
      { 'cert.pem': gateCertificate.cert, 'key.pem': other.key },
      /listen\.tls\.key is not the private key \(PEM, without a passphrase\) of listen\.tls\.cert/,
    ],
  ])(
    '%s does not start',
    async (_, files, why) => {
      const at = installation();
      for (const [name, text] of Object.entries(files)) at.write(`home/${name}`, text);
      at.configure(
        {
          listen: { tls: { cert: 'cert.pem', key: 'key.pem' } },
          agents: { me: { auth: 'local' } },
          servers: { none: { stdio: { command: 'true' } } },
        },
        RULES,
      );
      const ended = await at.run(['serve', '--name', 'tls', '--http', '127.0.0.1:0']);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toMatch(why);
      expect(ended.stderr).not.toContain('PRIVATE KEY');
    },
    60_000,
  );
});
