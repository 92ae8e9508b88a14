// How agents and servers of a gate behave, as far as its ledger tells: who is set aside for it, and what rules may ask of earlier calls. Every entry
// passes here when it is durable, before anybody hears of it.

import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { AgentHistory } from '../control-plane/anomaly/agent-history.ts';
import { type Crossing, MisdeedCounts } from '../control-plane/anomaly/misdeed-counts.ts';
import type { HistoryFacts } from '../control-plane/authorization.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import type { Entry, EntryBody } from '../domain/entry.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { CapturedCall } from '../proxy/captured-call.ts';
import type { Receipt } from '../proxy/ports.ts';
import { type KeptSumPorts, openSum } from './kept-sums.ts';
import { type QuarantinePorts, Quarantines } from './quarantines.ts';

/** Whoever writes the ledger tells it. */
export interface LedgerWatch {
  /** The ledger was opened and nobody writes yet. Where it rejects the ledger counts as not opened. */
  catchUp(): Promise<void>;
  recorded(body: EntryBody, receipt: Receipt): void;
}

export interface Behaviour extends LedgerWatch {
  readonly quarantines: Quarantines;
  /** Undefined where the manifest does not ask for it. */
  readonly history: ((call: CapturedCall) => HistoryFacts) | undefined;
  close(): Promise<void>;
}

export interface BehaviourPorts extends KeptSumPorts, Omit<QuarantinePorts, 'counts'> {
  readonly manifest: Manifest | undefined;
}

export async function openBehaviour(ports: BehaviourPorts): Promise<Behaviour> {
  const { manifest, secret } = ports;
  const counts = await openSum(ports, {
    name: 'anomalies',
    make: (kept) => new WatchedCounts(kept === undefined ? new MisdeedCounts() : MisdeedCounts.fromJson(kept)),
  });
  const terms = manifest === undefined ? undefined : historyTerms(manifest, secret);
  const history =
    terms === undefined
      ? undefined
      : await openSum(ports, {
          name: 'history',
          make: (kept) => {
            const made = new AgentHistory(terms);
            if (kept !== undefined) made.restore(kept);
            return made;
          },
        });
  const quarantines = new Quarantines({ ...ports, counts: () => counts.sum.counts });
  return {
    quarantines,
    history:
      history === undefined
        ? undefined
        : ({ call, at, principal, method, server, tool, lineage, argumentsJson }) =>
            history.sum.ask({
              call,
              at,
              agent: principal.agent,
              method,
              server,
              tool,
              root: lineage.root,
              above: lineage.agents ?? [],
              args: JSON.parse(argumentsJson) as Json,
            }),
    catchUp: async () => {
      await counts.catchUp();
      await history?.catchUp();
      history?.sum.forgetPending();
      // Those it found are among those that are not recorded yet.
      counts.sum.take();
      quarantines.enforce();
      // When it can be written: whoever opens it comes first.
      setImmediate(() => quarantines.record());
    },
    recorded: (body, receipt) => {
      history?.recorded(body, receipt);
      counts.recorded(body, receipt);
      for (const crossing of counts.sum.take()) quarantines.crossed(crossing);
      if (body.type === 'quarantine.set' || body.type === 'quarantine.lifted') void counts.keep();
    },
    close: async () => {
      await counts.keep();
      await history?.keep();
    },
  };
}

/** Counts that remember whom the entries since the last look have set aside. */
class WatchedCounts {
  readonly counts: MisdeedCounts;
  #crossings: Crossing[] = [];

  constructor(counts: MisdeedCounts) {
    this.counts = counts;
  }

  entry(entry: Entry): void {
    this.#crossings.push(...this.counts.entry(entry));
  }

  take(): readonly Crossing[] {
    const taken = this.#crossings;
    this.#crossings = [];
    return taken;
  }

  toJson(): JsonObject {
    return this.counts.toJson();
  }
}

function historyTerms({ history, groups }: Manifest, secret: Uint8Array) {
  if (history === undefined) return undefined;
  const used = Object.entries(history.used ?? {}).map(
    ([group, withinMs]) => [group, { actions: new Set(groups[group] ?? []), withinMs }] as const,
  );
  const key = hmacSha256(secret, new TextEncoder().encode('portcullis/shapes/v1'));
  return {
    used: new Map(used),
    digest: (shape: string) =>
      Buffer.from(hmacSha256(key, new TextEncoder().encode(shape)))
        .subarray(0, 16)
        .toString('base64url'),
  };
}
