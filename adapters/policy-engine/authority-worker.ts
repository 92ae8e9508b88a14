// The deciding side in a thread of its own: rules, facts, and the private key that signs permits, which exists nowhere else. One bundle
// for life: a new bundle is a new thread. Whatever throws here ends the thread; the gate then denies and starts another.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { Authorization, AuthorizationRequest } from '../../control-plane/authorization.ts';
import { mintPermit, permitSigner } from '../../control-plane/permits/mint.ts';
import { type Bundle, type BundleResult, bundleOf, digestWith } from '../../control-plane/policy/bundle.ts';
import { decide } from '../../control-plane/policy/decide.ts';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import { METHOD_INPUTS } from '../../control-plane/policy/methods.ts';
import type { PolicySource } from '../../control-plane/policy/source.ts';
import { visibleActions } from '../../control-plane/policy/visible.ts';
import { withoutPlaces } from '../../control-plane/policy/without-places.ts';
import { actionId, TOOL_METHOD } from '../../domain/action.ts';
import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { Defect } from '../../domain/defect.ts';
import type { Json } from '../../domain/json.ts';
import { randomBytes, sha256 } from '../crypto/node-crypto.ts';
import { SchemaChecks } from '../json-schema/schema-checks.ts';
import { type ToolSchemas, toolSchemas } from '../json-schema/tool-schemas.ts';
import { canaryProblem, loadCanaries } from './canaries.ts';
import { CedarEngine, cedarLanguage } from './cedar.ts';
import type { Answer, Ask, AuthoritySetup, FromAuthority } from './messages.ts';
import { fileSystemPaths } from './path-resolver.ts';
import { ownThread } from './processor-time.ts';
import { rehearse } from './rehearsal.ts';

/** Answers are sent at the latest after this time, so that the gate sees a busy thread alive. */
const FLUSH_MS = 5;

const port = parentPort;
if (port === null) throw new Defect('the deciding side runs in a thread of its own');
const send = (message: FromAuthority): void => port.postMessage(message);

port.once('message', (setup: AuthoritySetup) => {
  const assembled = setup.manifest === undefined ? undefined : assembleParsed(setup.source, setup.manifest);
  if (assembled?.ok === true) serve(setup, assembled.bundle);
  else void serveFromTexts(setup);
});
rehearse();
send({ type: 'warm', task: ownThread() });

function assembleParsed(source: PolicySource, manifest: Manifest): BundleResult {
  const parsed = { manifest, document: withoutPlaces(source.manifest.file) };
  return bundleOf(parsed, source, cedarLanguage, digestWith(sha256));
}

/** The long way: it alone can say in which line something is wrong. What it needs takes so long to load that a good start goes without. */
async function serveFromTexts(setup: AuthoritySetup): Promise<void> {
  const { assembleBundle } = await import('../../control-plane/policy/assemble-bundle.ts');
  const assembled = assembleBundle(setup.source, cedarLanguage, digestWith(sha256));
  if (assembled.ok) serve(setup, assembled.bundle);
  else send({ type: 'refused', problems: assembled.problems });
}

function serve(setup: AuthoritySetup, bundle: Bundle): void {
  const askCanary = loadCanaries();
  const problem = canaryProblem(askCanary);
  if (problem !== undefined) throw new Defect(problem);
  const engine = new CedarEngine(bundle);
  const mint = minter(setup, bundle);

  const schemas = new SchemaChecks(toolSchemas(setup.source));
  const methods = new SchemaChecks(METHOD_SCHEMAS);

  const authorize = (request: AuthorizationRequest, checked: boolean): Authorization => {
    const { method, server, tool } = request;
    const action = actionId(method, server, tool);
    const args = JSON.parse(request.argumentsJson) as Json;
    const unfit =
      method !== TOOL_METHOD ? methods.input(method, args) : checked ? undefined : schemas.input(action, args);
    if (unfit !== undefined && bundle.model.actions.has(action))
      return { decision: 'deny', by: [], policy: bundle.digest, ...unfit };
    const decision = decide(bundle, request, engine, fileSystemPaths);
    return decision.decision === 'allow' ? { ...decision, permit: mint(request, decision) } : decision;
  };

  const answer = (ask: Ask): Answer => {
    switch (ask.kind) {
      case 'authorize':
        return { id: ask.id, kind: 'authorize', authorization: authorize(ask.request, ask.checked) };
      case 'visible':
        return { id: ask.id, kind: 'visible', tools: visibleActions(bundle, ask.principal) };
    }
  };

  port?.on('message', (asks: readonly Ask[]) => {
    let answers: Answer[] = [];
    let since = performance.now();
    try {
      for (const ask of asks) {
        answers.push(answer(ask));
        if (performance.now() - since > FLUSH_MS) {
          send({ type: 'answers', answers });
          answers = [];
          since = performance.now();
        }
      }
    } finally {
      // What was decided before a failure was decided well.
      if (answers.length > 0) send({ type: 'answers', answers });
    }
  });
  send({ type: 'ready', digest: bundle.digest });
}

/** The same for every server; compiled when one is first asked for. */
const METHOD_SCHEMAS: ReadonlyMap<string, ToolSchemas> = new Map(
  [...METHOD_INPUTS].map(([method, { schema }]) => [method, { inputSchema: schema }]),
);

type Allowed = Omit<Extract<Authorization, { decision: 'allow' }>, 'permit'>;

function minter(setup: AuthoritySetup, bundle: Bundle): (request: AuthorizationRequest, decision: Allowed) => string {
  const key = createPrivateKey(readFileSync(setup.keyFile));
  if (key.asymmetricKeyType !== 'ed25519') throw new Defect('the key that signs permits is not an Ed25519 key');
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  // The thumbprint of RFC 7638.
  const jwk = canonicalJson({ crv: 'Ed25519', kty: 'OKP', x: x ?? '' });
  const kid = encodeBase64url(sha256(new TextEncoder().encode(jwk)));
  const signer = permitSigner(kid, (bytes) => sign(null, bytes, key), sha256);
  const issuer = { instance: setup.instance, gateway: setup.gateway, ttlMs: bundle.manifest.defaults.permitTtlMs };
  return (request, { policy, by, obligations, limits }) =>
    mintPermit(
      request,
      { policy, version: request.governance.epoch, by, approvals: [], obligations, limits },
      issuer,
      signer,
      encodeBase64url(randomBytes(16)),
    );
}
