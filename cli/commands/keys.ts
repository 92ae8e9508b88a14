// portcullis keys: the public keys of this installation, new API keys, and what to say of somebody's public key. Private keys are never printed.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyThumbprint } from '../../adapters/crypto/node-crypto.ts';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { type KeyNames, namesOf } from '../../adapters/identity/public-key.ts';
import { encodeBase64url } from '../../domain/base64url.ts';
import { permitIssuer } from '../../domain/permit.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, gateFolder } from '../home.ts';
import { registerKeys } from '../key-registry.ts';
import { openKeys, verifierKeyOf } from '../ledger.ts';
import { CommandError, type Output, reasonOf } from '../output.ts';

export interface KeysOptions {
  readonly newApiKey?: boolean;
  /** A file with somebody's public key. */
  readonly of?: string;
}

export async function keys(options: KeysOptions, out: Output): Promise<number> {
  if (options.newApiKey === true) {
    const { key, digest } = generateApiKey();
    out.answer({ key, digest });
    out.line(`key     ${key}`);
    out.line(`digest  ${digest}`);
    out.note('the key is shown once and kept nowhere: give it to the client, as Authorization: Bearer KEY');
    out.note('the digest goes into the manifest:  agents: { NAME: { auth: { apiKey: "DIGEST" } } }');
    return EXIT.ok;
  }
  if (options.of !== undefined) return namesOfKey(options.of, out);
  const home = findHome();
  const folder = gateFolder(home, 'any').keys;
  const own = openKeys(folder);
  const gates = join(home.state, 'gates');
  const logs = existsSync(gates)
    ? readdirSync(gates)
        .sort()
        .map((gate) => ({ gate, vkey: verifierKeyOf(own, gate) }))
    : [];
  const registered = await registerKeys(home, own);
  const permit = { kid: keyThumbprint(own.permitPublicKey), key: encodeBase64url(own.permitPublicKey) };
  const peer = { issuer: permitIssuer(own.instance), key: encodeBase64url(own.gate.publicKey) };
  out.answer({ folder, instance: own.instance, permit, peer, registered, logs });
  out.line(`installation  ${own.instance}  (keys in ${folder})`);
  out.line(`permits       ${permit.kid}`);
  out.line(`as a peer     { issuer: "${peer.issuer}", key: "${peer.key}" }`);
  for (const { purpose, kid, created, state } of registered)
    out.line(`${state.padEnd(14)}${purpose.padEnd(8)}${kid}  since ${created}`);
  for (const { gate, vkey } of logs) out.line(`log ${gate.padEnd(10)}${vkey}`);
  if (logs.length === 0) out.note('no gate has run yet, so there are no logs');
  return EXIT.ok;
}

async function namesOfKey(file: string, out: Output): Promise<number> {
  let names: KeyNames;
  try {
    names = await namesOf(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CommandError(`${file}: ${reasonOf(error)}`);
  }
  out.answer({ ...names });
  out.line(`proofKey  ${names.thumbprint}`);
  out.line(`spki      ${names.spki}`);
  out.note('in the manifest:  agents: { NAME: { auth: { proofKey: "..." } } }');
  return EXIT.ok;
}
