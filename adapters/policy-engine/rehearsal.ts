// The whole way from a policy's rules to a decision, walked once with a policy of our own while the real one is still being fetched: what is
// loaded and compiled on the way need not be later, and a deciding side that goes wrong here never gets to decide anything.

import type { AuthorizationRequest } from '../../control-plane/authorization.ts';
import { bundleOf, digestWith } from '../../control-plane/policy/bundle.ts';
import { decide } from '../../control-plane/policy/decide.ts';
import { PERMIT_TTL_MS_DEFAULT } from '../../control-plane/policy/limits.ts';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import type { PolicySource } from '../../control-plane/policy/source.ts';
import { withoutPlaces } from '../../control-plane/policy/without-places.ts';
import { Defect } from '../../domain/defect.ts';
import type { Digest } from '../../domain/digest.ts';
import { rootLineage } from '../../domain/lineage.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import { SchemaChecks } from '../json-schema/schema-checks.ts';
import { CedarEngine, cedarLanguage } from './cedar.ts';
import { fileSystemPaths } from './path-resolver.ts';

const INPUT = { type: 'object', properties: { line: { type: 'string' } }, required: ['line'] };

const MANIFEST: Manifest = {
  apiVersion: 'portcullis/v1',
  namespace: 'Rehearsal',
  defaults: { permitTtlMs: PERMIT_TTL_MS_DEFAULT },
  agents: { actor: { roles: ['cast'], root: true, auth: 'local' } },
  identity: { jwt: [] },
  listen: { hosts: [], origins: [] },
  servers: {
    stage: {
      stdio: { command: 'nothing', args: [], env: { allow: [], set: {} } },
      isolation: 'shared',
      limits: { timeoutMs: 1, outputBytes: 1, concurrency: 1 },
    },
  },
  facts: {},
  groups: {},
  policies: [],
};

const SOURCE: Omit<PolicySource, 'manifest'> = {
  policies: [
    {
      file: 'rehearsal.cedar',
      text: `@id("speaks")
@reason("the cast may speak")
permit (principal in Rehearsal::Role::"cast", action == Rehearsal::Action::"stage/speak", resource == Rehearsal::Server::"stage")
when { context.input.line like "to be*" };
`,
    },
  ],
  tools: [{ server: 'stage', tools: [{ name: 'speak', inputSchema: INPUT }] }],
};

const NOBODY: Digest = `sha256:${'A'.repeat(43)}`;
const NEVER = '0'.repeat(26);

/** Throws when anything on the way is not as it must be. */
export function rehearse(): void {
  const parsed = { manifest: MANIFEST, document: withoutPlaces('rehearsal.yaml') };
  const assembled = bundleOf(parsed, SOURCE, cedarLanguage, digestWith(sha256));
  if (!assembled.ok) throw new Defect('the rehearsal has no policy');
  const engine = new CedarEngine(assembled.bundle);
  const schemas = new SchemaChecks(new Map([['stage/speak', { inputSchema: INPUT }]]));
  const outcome = (line: string): string => {
    if (schemas.input('stage/speak', { line }) !== undefined) throw new Defect('the rehearsal has no schema');
    return decide(assembled.bundle, requestFor(line), engine, fileSystemPaths).decision;
  };
  if (outcome('to be') !== 'allow') throw new Defect('the rehearsal was refused what its rule allows');
  if (outcome('or not') !== 'deny') throw new Defect('the rehearsal was allowed what no rule allows');
}

function requestFor(line: string): AuthorizationRequest {
  return {
    call: NEVER,
    at: 0,
    principal: { agent: 'actor', roles: ['cast'], root: true, authentication: 'local', connection: NOBODY },
    method: 'tools/call',
    server: 'stage',
    tool: 'speak',
    argumentsJson: JSON.stringify({ line }),
    args: NOBODY,
    req: NOBODY,
    definition: NOBODY,
    attestation: NOBODY,
    lineage: rootLineage(NEVER),
    governance: { state: 'normal', epoch: 1, revocation: 0, boot: NEVER },
    limits: { timeoutMs: 1, outputBytes: 1 },
  };
}
