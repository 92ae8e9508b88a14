// The command the suite runs as a client, with Portcullis in between: the suite's server becomes the gate's upstream, and our client speaks to the gate.
// Where the server is protected, the gate is the OAuth client and the client knows nothing of it.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { program, startGate } from './processes.ts';

const CLIENT = fileURLToPath(new URL('client/main.ts', import.meta.url));
const METADATA_URL = 'https://conformance-test.local/client-metadata.json';

const url = process.argv.at(-1) ?? '';
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const isProtected = scenario.startsWith('auth/');
const { env, oauth } = await oauthOf(JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}'));
const gate = await startGate({ http: { url, ...(isProtected ? { oauth } : {}) } }, { env, operator: isProtected });
try {
  const [command = '', ...args] = program(CLIENT, gate.url);
  process.exitCode = await new Promise<number>((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, CONFORMANCE_CLIENT_BEHIND_GATE: '1' },
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
} finally {
  await gate.close();
}

/** What the manifest says of the credentials a scenario hands to its client. */
async function oauthOf(
  context: Record<string, string | undefined>,
): Promise<{ oauth: object; env: Record<string, string> }> {
  const { client_id: clientId, client_secret: secret, private_key_pem: key, signing_algorithm: algorithm } = context;
  if (clientId === undefined) return { oauth: { clientMetadataUrl: METADATA_URL }, env: {} };
  const issuer = context.issuer ?? (await issuerOf());
  const grant = scenario.startsWith('auth/client-credentials') ? 'client_credentials' : 'authorization_code';
  if (key !== undefined)
    return { oauth: { grant, clientId, issuer, privateKeyEnv: 'CLIENT_KEY', algorithm }, env: { CLIENT_KEY: key } };
  if (secret === undefined) return { oauth: { grant, clientId, issuer }, env: {} };
  return { oauth: { grant, clientId, issuer, clientSecretEnv: 'CLIENT_SECRET' }, env: { CLIENT_SECRET: secret } };
}

/** The issuer an operator would have registered the client with: the one the server names. */
async function issuerOf(): Promise<string> {
  const { origin, pathname } = new URL(url);
  const metadata = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  const { authorization_servers: issuers } = (await metadata.json()) as { authorization_servers?: string[] };
  return issuers?.[0] ?? origin;
}
