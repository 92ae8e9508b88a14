// Two gates that reach each other over TLS: only with a certificate that the one who dials has reason to believe.

import { afterAll, expect, it } from 'vitest';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { selfSigned } from '../support/certificates.ts';
import { closeInstallations, installation } from '../support/cli.ts';
import { asPeer } from '../support/two-gates.ts';

const RULES = '@id("all") @reason("nothing is called here")\npermit (principal, action, resource);\n';

afterAll(closeInstallations);

/** The second gate listens on TLS; answers with what the first needs to dial it, and the certificate as a file. */
async function open() {
  const [first, second] = [installation(), installation()];
  const { cert, key } = selfSigned({ name: 'second' });
  second.write('home/tls/cert.pem', cert);
  second.write('home/tls/key.pem', key);
  const counter = (heard: string) => ({
    counter: { stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), heard] } },
  });
  second.configure(
    {
      agents: { worker: { root: false, auth: { apiKey: `sha256:${'A'.repeat(43)}` } } },
      listen: { tls: { cert: 'tls/cert.pem', key: 'tls/key.pem' } },
      servers: counter(second.path('heard.jsonl')),
      peers: { first: await asPeer(first) },
    },
    RULES,
  );
  const listening = second.start(['serve', '--name', 'second', '--http', '127.0.0.1:0']);
  await listening.says('listening on');
  const { host } = new URL(/listening on (https:\S+)/.exec(listening.stderr)?.[1] ?? '');
  first.configure(
    {
      agents: { planner: { auth: 'local' } },
      servers: counter(first.path('heard.jsonl')),
      peers: { second: { ...(await asPeer(second)), url: `wss://${host}/peer` } },
    },
    RULES,
  );
  const dial = (env: Record<string, string>) => first.start(['serve', '--name', 'first', '--stdio'], { env });
  return { dial, listening, file: second.write('ca.pem', cert) };
}

proves(
  'G4',
  'two gates are in no session when nobody vouches for the certificate of the one that is dialled',
  async () => {
    const { dial, listening } = await open();
    const dialling = dial({});
    await dialling.says('peer second: cannot be reached: self-signed certificate');
    expect(listening.stderr).not.toContain('in session');
  },
  60_000,
);

it('two gates are in session over TLS when the certificate is believed', async () => {
  const { dial, listening, file } = await open();
  const dialling = dial({ NODE_EXTRA_CA_CERTS: file });
  await dialling.says('peer second: in session');
  await listening.says('peer first: in session');
}, 60_000);
