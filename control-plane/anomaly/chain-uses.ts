// Which actions a chain of calls has used, and when. Chains are short-lived and many, so their number is bounded for each agent that starts them. Where
// one starts more, a chain of his that is not known counts as one that has used everything: nobody gets rid of what he did by doing more.

/** Chains of one agent that are remembered within the longest time that is asked about. */
export const CHAINS_PER_AGENT_MAX = 2_048;

interface ChainsOfAgent {
  readonly chains: Map<string, Map<string, number>>;
  /** When one was not remembered for want of room. */
  overflowed: number;
}

export class ChainUses {
  readonly #byAgent = new Map<string, ChainsOfAgent>();
  readonly #withinMs: number;

  /** `withinMs`: a use that lies longer ago is never asked about. */
  constructor(withinMs: number) {
    this.#withinMs = withinMs;
  }

  note(rootAgent: string, root: string, action: string, at: number): void {
    const known = this.#byAgent.get(rootAgent) ?? { chains: new Map(), overflowed: Number.NEGATIVE_INFINITY };
    this.#byAgent.set(rootAgent, known);
    const chain = known.chains.get(root);
    if (chain !== undefined) {
      chain.set(action, at);
      // The one that was used last is the last one.
      known.chains.delete(root);
      known.chains.set(root, chain);
      return;
    }
    for (const [other, uses] of known.chains) {
      if (Math.max(...uses.values()) > at - this.#withinMs) break;
      known.chains.delete(other);
    }
    if (known.chains.size >= CHAINS_PER_AGENT_MAX) known.overflowed = at;
    else known.chains.set(root, new Map([[action, at]]));
  }

  used(rootAgent: string, root: string, action: string, now: number, withinMs: number): boolean {
    const known = this.#byAgent.get(rootAgent);
    if (known === undefined) return false;
    const chain = known.chains.get(root);
    const last = chain === undefined ? known.overflowed : (chain.get(action) ?? Number.NEGATIVE_INFINITY);
    return now - last < withinMs;
  }
}
