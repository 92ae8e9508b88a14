// Whether anything was carried out a second time that may have run before and that nobody had looked at, told from a ledger with its vault: from the
// arguments themselves, the manifests under which was decided, and what approved definitions said of their tools. What gates beside knew is not here.

import { sha256 } from '../adapters/crypto/node-crypto.ts';
import { eventsOf } from '../control-plane/lineage/recorded-place.ts';
import { parseManifest } from '../control-plane/policy/parse-manifest.ts';
import type { PolicySource } from '../control-plane/policy/source.ts';
import { type RetryFinding, sameAsFarAsTold } from '../control-plane/retry-audit.ts';
import type { Digest } from '../domain/digest.ts';
import type { Entry } from '../domain/entry.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { mayHaveRun, type Outcome } from '../domain/outcome.ts';
import type { Payload } from '../ledger/vault.ts';

/** What allows that a tool is called again, from an entry on; undefined where that cannot be read. */
interface Allowed {
  readonly seq: number;
  readonly allows: ((server: string, tool: string) => boolean) | undefined;
}

interface Call {
  readonly call: string;
  readonly seq: number;
  readonly at: number;
  readonly server: string;
  readonly tool: string;
  /** Names it with its arguments. */
  readonly key: string;
  /** Nobody knew whether that one ran when this one was asked for. */
  readonly earlier?: Call | undefined;
}

export class RetriesAgain {
  readonly findings: RetryFinding[] = [];
  /** Calls whose arguments, or made again under what, cannot be read. */
  notReplayable = 0;
  readonly #payloads: ReadonlyMap<Digest, Payload>;
  readonly #policies: Allowed[] = [];
  readonly #pins = new Map<string, Allowed[]>();
  readonly #open = new Map<string, Call>();
  /** Ended, and nobody knows how: by what it was, with when that was written. */
  readonly #unknown = new Map<string, { readonly earlier: Call; readonly endedAt: number }>();

  constructor(entries: Iterable<Entry>, payloads: ReadonlyMap<Digest, Payload>) {
    this.#payloads = payloads;
    for (const entry of entries) this.#entry(entry);
  }

  #entry(entry: Entry): void {
    const { type, seq, call } = entry;
    if (type === 'policy.installed') this.#policies.push({ seq, allows: this.#allowedByManifest(entry) });
    else if (type === 'tools.pinned') {
      const server = String(entry.server);
      this.#pins.set(server, [...(this.#pins.get(server) ?? []), { seq, allows: this.#allowedByDefinition(entry) }]);
    } else if (type === 'call.settled') {
      for (const [key, { earlier }] of this.#unknown) if (earlier.call === entry.of) this.#unknown.delete(key);
    } else if (typeof call === 'string' && type === 'call.intent') this.#begins(entry, call);
    else if (typeof call === 'string' && type === 'call.ending') this.#ends(entry, call);
  }

  #begins(entry: Entry, call: string): void {
    const told = sameAsFarAsTold(entry);
    const [requested] = eventsOf(entry);
    if (told === undefined || !isJsonObject(requested?.args)) return;
    const args = this.#payloads.get(requested.args.commitment as Digest);
    if (args === undefined) {
      this.notReplayable += 1;
      return;
    }
    const key = `${told} ${Buffer.from(sha256(args.bytes)).toString('base64url')}`;
    const at = Number(requested.at);
    const before = this.#unknown.get(key);
    // What was asked for before that one ended may have been decided before it, too.
    const earlier = before !== undefined && at > before.endedAt ? before.earlier : undefined;
    const { server, tool } = requested;
    this.#open.set(call, { call, seq: entry.seq, at, server: String(server), tool: String(tool), key, earlier });
  }

  #ends(entry: Entry, call: string): void {
    const ended = this.#open.get(call);
    this.#open.delete(call);
    if (ended === undefined || !isJsonObject(entry.outcome)) return;
    const outcome = entry.outcome as unknown as Outcome;
    const events = eventsOf(entry);
    // A gate that went down knows of what it left only that it may have been carried out.
    const isRecovery = events.some(({ type }) => type === 'gate.restarted');
    if (ended.earlier !== undefined && outcome.dispatched && !isRecovery) this.#isAgain(ended, ended.earlier);
    if (mayHaveRun(outcome, events)) this.#unknown.set(ended.key, { earlier: ended, endedAt: Date.parse(entry.ts) });
  }

  #isAgain({ call, seq, server, tool }: Call, earlier: Call): void {
    const between = [this.#policies, this.#pins.get(server) ?? []].map((all) => inForce(all, earlier.seq, seq));
    // Forgotten when it might be made again, it stays forgotten.
    if (between.flat().some(({ allows }) => allows?.(server, tool) === true)) return;
    if (between.some((all) => all.length === 0 || all.some(({ allows }) => allows === undefined)))
      this.notReplayable += 1;
    else this.findings.push({ seq, call, detail: `${earlier.call} may have run before, and nobody had looked` });
  }

  #allowedByManifest(entry: Entry): Allowed['allows'] {
    const source = this.#textOf(entry) as PolicySource | undefined;
    const parsed = source === undefined ? undefined : parseManifest(source.manifest.text, source.manifest.file);
    if (parsed?.ok !== true) return undefined;
    const { servers } = parsed.manifest;
    return (server) => servers[server]?.retryAfterUnknown === 'allow';
  }

  #allowedByDefinition(entry: Entry): Allowed['allows'] {
    const { repeatable } = (this.#textOf(entry) ?? {}) as JsonObject;
    return Array.isArray(repeatable) ? (_, tool) => repeatable.includes(tool) : undefined;
  }

  #textOf({ source }: Entry): unknown {
    const payload = isJsonObject(source) ? this.#payloads.get(source.commitment as Digest) : undefined;
    return payload === undefined ? undefined : JSON.parse(Buffer.from(payload.bytes).toString());
  }
}

/** What was in force at an entry, and what came into force until another one. */
function inForce(all: readonly Allowed[], from: number, until: number): readonly Allowed[] {
  const before = all.filter(({ seq }) => seq < from).slice(-1);
  return [...before, ...all.filter(({ seq }) => seq >= from && seq < until)];
}
