// The way from a captured call to a decision, on the enforcing side: is the gate open, is the tool one that this principal may know of, is its
// server approved and not set aside. Then the deciding side is asked. Every refusal is a value.

import type { Authorization, CallLimits, HistoryFacts } from '../control-plane/authorization.ts';
import { actionId, TOOL_METHOD, toolsOf } from '../domain/action.ts';
import { type Denial, deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { Principal } from '../domain/principal.ts';
import type { CapturedCall } from './captured-call.ts';
import type { Catalogue } from './catalogue.ts';
import type { Governance } from './governance.ts';
import type { Attestations, Authority } from './ports.ts';
import type { Quarantine } from './quarantine.ts';
import type { ServerPool } from './server-pool.ts';
import type { ToolServer } from './tool-server.ts';
import type { RetryGuard } from './unknown-calls.ts';

/** What a call may take, by whom it goes to and what it belongs to. The same for one call whenever it is asked. */
export type LimitsOf = (call: Pick<CapturedCall, 'server' | 'askedThrough' | 'timeoutMsMax'>) => CallLimits;

/** The limits of a server for a call in its place: what it belongs to may leave it less time. */
export function inPlace(
  { timeoutMs, outputBytes }: CallLimits,
  { timeoutMsMax = Number.POSITIVE_INFINITY }: Pick<CapturedCall, 'timeoutMsMax'>,
): CallLimits {
  return { timeoutMs: Math.max(1, Math.min(timeoutMs, timeoutMsMax)), outputBytes };
}

export interface AdmissionPorts {
  readonly authority: Authority;
  readonly catalogue: Catalogue;
  readonly governance: Governance;
  readonly servers: ServerPool;
  readonly limits: LimitsOf;
  readonly quarantine: Quarantine;
  /** What is known of earlier calls, asked once for each call that is decided; undefined where rules do not ask. */
  readonly history?: ((call: CapturedCall) => HistoryFacts) | undefined;
  /** Knows which calls may have run before. */
  readonly retries?: Pick<RetryGuard, 'refusal'> | undefined;
  readonly attestations: Attestations;
}

export interface Visibility {
  /** Ids of the actions that this principal may know of. */
  readonly visible: (principal: Principal) => Promise<ReadonlySet<string>>;
}

/** What denies a call whatever the rules say of it: asked before a call waits, so that one which may not go takes no place. Never rejects. */
export async function refusalOf(ports: AdmissionPorts & Visibility, call: CapturedCall): Promise<Denial | undefined> {
  const governance = ports.governance.snapshot();
  return 'code' in governance ? deny(governance.code, governance.detail) : actionRefusal(ports, call);
}

/** Decides a captured call. Never rejects. */
export async function admit(ports: AdmissionPorts & Visibility, call: CapturedCall): Promise<Authorization> {
  const { catalogue, authority } = ports;
  const governance = ports.governance.snapshot();
  if ('code' in governance) return denied(deny(governance.code, governance.detail));
  const refused = await actionRefusal(ports, call);
  if (refused !== undefined) return denied(refused);
  if (serverOf(ports.servers, call) === undefined) return denied(ports.servers.absence(call.server));
  const repeated = await ports.retries?.refusal(call);
  if (repeated !== undefined) return denied(repeated);
  const definition = catalogue.definition(call);
  if (definition === undefined) return denied(unknown('no such tool'));
  const attestation = await attested(ports.attestations, call.server);
  if (typeof attestation !== 'string') return denied(attestation);
  return authority.authorize({
    call: call.call,
    at: call.at,
    principal: call.principal,
    method: call.method,
    server: call.server,
    tool: call.tool,
    argumentsJson: call.argumentsJson,
    args: call.args,
    req: call.req,
    definition,
    attestation,
    lineage: call.lineage,
    governance,
    limits: ports.limits(call),
    ...(ports.history === undefined ? {} : { history: ports.history(call) }),
  });
}

/** A server that is just being looked at again is waited for: a file that was only touched denies nobody. */
async function attested(attestations: Attestations, server: string): Promise<Digest | Denial> {
  const first = attestations.of(server);
  if (typeof first === 'string' || first.code !== 'ENV_UNKNOWN') return first;
  await attestations.settled(server);
  return attestations.of(server);
}

/** The server that executes a call, while it is there and known to be the pinned one. */
export function serverOf(servers: ServerPool, { server, manner, lineage }: CapturedCall): ToolServer | undefined {
  const { sender } = manner;
  return servers.of(server, sender === undefined ? undefined : servers.holder(server, sender, lineage.root));
}

async function actionRefusal(ports: AdmissionPorts & Visibility, call: CapturedCall): Promise<Denial | undefined> {
  const { catalogue } = ports;
  const { method, server, tool, lineage, unplaced } = call;
  const visible = await ports.visible(call.principal);
  const setAside = ports.quarantine.refusal(server, call.principal.agent);
  // The rules in force do not know its tools, and they speak of it to this principal.
  if (visible.has(toolsOf(server))) return setAside ?? ports.servers.absence(server);
  if (catalogue.server(server) === undefined) {
    // The rules are those from before: whoever they speak to knows of it.
    return setAside !== undefined && visible.has(actionId(method, server, tool)) ? setAside : unknown('no such server');
  }
  if (method === TOOL_METHOD && catalogue.tool(server, tool) === undefined) return unknown('no such tool');
  if (!visible.has(actionId(method, server, tool))) {
    return unknown('no rule could ever allow this to this agent');
  }
  if (setAside !== undefined) return setAside;
  if (unplaced !== undefined) return unplaced;
  if (lineage.parent === null && !call.principal.root) return deny('LINEAGE_NOT_ROOT', call.principal.agent);
  if (ports.servers.description(server) === undefined) return ports.servers.absence(server);
  return undefined;
}

function unknown(detail: string): Denial {
  return deny('TOOL_UNKNOWN', detail);
}

function denied(denial: Denial): Authorization {
  return { decision: 'deny', by: [], ...denial };
}
