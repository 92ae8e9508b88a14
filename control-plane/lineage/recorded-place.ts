// Where an execution stood, as its first entry says. Read, not checked against anything: whether it can be true is for audit.ts.

import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Entry } from '../../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';

export interface RecordedPlace {
  readonly call: string;
  readonly root: string;
  readonly node: string;
  readonly parent: string | undefined;
  readonly joined: readonly string[];
  readonly issuer: string | undefined;
  readonly depth: number;
  readonly above: string | undefined;
  readonly agents: readonly string[];
  /** Each as canonical JSON. */
  readonly scopes: readonly string[];
  /** What it hands on at most, as canonical JSON. */
  readonly narrowed: string | undefined;
  readonly relation: { readonly kind: string; readonly call: string } | undefined;
  readonly agent: string;
  readonly method: string;
  readonly server: string;
  readonly tool: string;
  readonly args: string;
}

const NONE: readonly never[] = [];

/** The events of an entry. */
export function eventsOf({ events }: Entry): readonly JsonObject[] {
  return Array.isArray(events) ? (events as readonly Json[]).filter(isJsonObject) : NONE;
}

/** Undefined where the entry says nothing of a place; a text says why what it says is none. */
export function recordedPlace(entry: Entry, events: readonly JsonObject[]): RecordedPlace | string | undefined {
  const [requested] = events;
  if (requested?.type !== 'call.requested' || !isJsonObject(requested.lineage)) return undefined;
  const { lineage, principal, relation } = requested;
  const { root, node, parent, depth, joined = NONE, issuer, above, agents = NONE, scopes = NONE, narrowed } = lineage;
  const agent = isJsonObject(principal) ? principal.agent : undefined;
  const args = isJsonObject(requested.args) ? requested.args.commitment : undefined;
  if (typeof root !== 'string' || typeof node !== 'string') return 'it names no root or not itself';
  if (parent !== null && typeof parent !== 'string') return 'its parent is no call';
  if (typeof depth !== 'number' || !isOptionalText(issuer) || !isOptionalText(above)) return 'its place cannot be read';
  if (!isTexts(joined) || !isTexts(agents) || !Array.isArray(scopes)) return 'its place cannot be read';
  return {
    call: String(entry.call),
    root,
    node,
    parent: parent ?? undefined,
    joined,
    issuer,
    depth,
    above,
    agents,
    scopes: scopes.length === 0 ? NONE : (scopes as readonly Json[]).map(canonicalJson),
    narrowed: narrowed === undefined ? undefined : canonicalJson(narrowed),
    relation:
      isJsonObject(relation) && typeof relation.call === 'string' && typeof relation.kind === 'string'
        ? { kind: relation.kind, call: relation.call }
        : undefined,
    agent: textOf(agent),
    method: textOf(requested.method),
    server: textOf(requested.server),
    tool: textOf(requested.tool),
    args: textOf(args),
  };
}

/** Where an execution stands that says nothing of a place: on its own. */
export function unplaced(call: string): RecordedPlace {
  return {
    call,
    root: call,
    node: call,
    parent: undefined,
    joined: [],
    issuer: undefined,
    depth: 0,
    above: undefined,
    agents: [],
    scopes: [],
    narrowed: undefined,
    relation: undefined,
    agent: '',
    method: '',
    server: '',
    tool: '',
    args: '',
  };
}

function isOptionalText(value: Json | undefined): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function isTexts(value: Json): value is readonly string[] {
  return Array.isArray(value) && (value as readonly Json[]).every((one) => typeof one === 'string');
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
