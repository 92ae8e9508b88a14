// A tool server that may speak both eras, as one: finds out which, keeps a connection of its own for each that it speaks, and hands every
// call to one of the two. Neither takes the other down. No call is handed over twice, whichever connection fails.

import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Denial } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import type {
  Asking,
  CallHooks,
  Dispatch,
  Era,
  Notice,
  OfferKind,
  OwnProcess,
  Question,
  ServerChange,
  ServerDescription,
  ToolDefinition,
  ToolRun,
  ToolServer,
} from '../../proxy/tool-server.ts';
import { speaksOtherEra } from './other-era.ts';

/**
 * `modern-first`: asked for 2026-07-28, and where that is spoken once for the other era too, when a client of it comes. `legacy-first`: asked for
 * 2026-07-28 only when `initialize` was answered with an error, and then anew. `both`: a connection each, as far as the server does not say that
 * it speaks none.
 */
export type Probing = 'modern-first' | 'legacy-first' | 'both';

export interface DualServerOptions {
  readonly name: string;
  readonly links: Readonly<Record<Era, ToolServer>>;
  readonly probing: Probing;
  readonly times?: DualTimes;
}

export interface DualTimes {
  /** How long a server that speaks 2026-07-28 may think about `initialize`. */
  readonly secondMs: number;
  readonly againFirstMs: number;
  readonly againMaxMs: number;
}

const DUAL_TIMES: DualTimes = { secondMs: 3_000, againFirstMs: 500, againMaxMs: 30_000 };

const ERAS: readonly Era[] = ['legacy', 'modern'];

/** Requests that only one era has. Who asks for one is heard there. */
const ONLY: Readonly<Record<string, Era>> = { 'tasks/result': 'legacy', 'tasks/update': 'modern' };

export class DualServer implements ToolServer {
  readonly name: string;
  readonly #links: Readonly<Record<Era, ToolServer>>;
  readonly #probing: Probing;
  readonly #times: DualTimes;
  readonly #listeners: ((change: ServerChange) => void)[] = [];
  readonly #noticeListeners: ((notice: Notice) => void)[] = [];
  readonly #again = new Map<Era, NodeJS.Timeout>();
  /** What each connection said last; kept while it is down, so that what is offered does not come and go with it. */
  readonly #said = new Map<Era, ServerDescription>();
  /** Tools that are always called in one era: listed only there, or not alike in both. */
  readonly #bound = new Map<string, Era>();
  /** The eras that the server speaks, as found out; empty while that is not known. What the first one says is believed first. */
  #spoken: readonly Era[] = [];
  /** Clients of this era came. */
  #legacyWanted = false;
  /** Whether the other era is spoken too is found out once. */
  #second: Promise<void> | undefined;
  #description: ServerDescription | undefined;
  #starting: Promise<ServerDescription> | undefined;
  #stops = 0;

  constructor({ name, links, probing, times = DUAL_TIMES }: DualServerOptions) {
    this.name = name;
    this.#links = links;
    this.#probing = probing;
    this.#times = times;
    for (const era of ERAS) {
      links[era].onChange((change) => this.#changed(era, change));
      links[era].onNotice((notice) => this.#noticed(era, notice));
    }
  }

  get description(): ServerDescription | undefined {
    return this.#description;
  }

  get fault(): Denial | undefined {
    return this.#description === undefined ? (this.#links.modern.fault ?? this.#links.legacy.fault) : undefined;
  }

  get tlsKeys(): readonly Digest[] {
    return [...new Set(ERAS.flatMap((era) => this.#links[era].tlsKeys ?? []))].sort();
  }

  /** Undefined where calls may go to two: none of them is then the one that takes a call. */
  get process(): OwnProcess | undefined {
    const [only, second] = this.#spoken;
    return only === undefined || second !== undefined ? undefined : this.#links[only].process;
  }

  /** The eras in which it can be called now. */
  get spoken(): readonly Era[] {
    return this.#spoken.filter((era) => this.#links[era].description !== undefined);
  }

  onChange(listener: (change: ServerChange) => void): void {
    this.#listeners.push(listener);
  }

  onQuestion(listener: (question: Question) => Asking | undefined): void {
    for (const era of ERAS) this.#links[era].onQuestion?.(listener);
  }

  tell(notice: Notice): void {
    for (const era of ERAS) this.#links[era].tell?.(notice);
  }

  onNotice(listener: (notice: Notice) => void): void {
    this.#noticeListeners.push(listener);
  }

  start(): Promise<ServerDescription> {
    if (this.#description !== undefined) return Promise.resolve(this.#description);
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async meet(era: Era): Promise<void> {
    if (era !== 'legacy') return;
    this.#legacyWanted = true;
    // One that is starting finds out by itself; nobody waits for it here.
    if (this.#starting !== undefined || this.#probing !== 'modern-first' || !this.#speaksOnly('modern')) return;
    this.#second ??= this.#adoptLegacy();
    await this.#second;
  }

  get freshForMs(): number | undefined {
    const said = this.spoken.flatMap((era) => this.#links[era].freshForMs ?? []);
    return said.length === 0 ? undefined : Math.min(...said);
  }

  async relist(): Promise<void> {
    await Promise.all(this.spoken.map((era) => this.#links[era].relist?.()));
  }

  list(kind: OfferKind): Promise<readonly JsonObject[]> {
    const [primary = 'legacy'] = this.spoken;
    return this.#links[primary].list(kind);
  }

  dispatch(dispatch: Dispatch, hooks: CallHooks): ToolRun {
    return this.#links[this.#eraOf(dispatch)].dispatch(dispatch, hooks);
  }

  async stop(): Promise<void> {
    this.#stops++;
    for (const timer of this.#again.values()) clearTimeout(timer);
    this.#again.clear();
    const stopLinks = () => Promise.all(ERAS.map((era) => this.#links[era].stop()));
    await stopLinks();
    if (this.#starting !== undefined) {
      await this.#starting.catch(() => undefined);
      // It may have gone on to the other one meanwhile.
      await stopLinks();
    }
    this.#forget();
  }

  async #start(): Promise<ServerDescription> {
    const stops = this.#stops;
    const unlessStopped = (): void => {
      if (stops !== this.#stops) throw new Error(`the server ${this.name} is not available: it was stopped`);
    };
    const spoken = await this.#probe(unlessStopped);
    unlessStopped();
    this.#spoken = spoken;
    for (const era of ERAS) if (!spoken.includes(era)) this.#said.delete(era);
    const description = this.#describe();
    if (description === undefined) throw new Error(`the server ${this.name} is not available: the connection ended`);
    for (const listener of this.#listeners) listener('up');
    return description;
  }

  /** The eras that it was found to speak. Rejects where the answer is no evidence of any. */
  async #probe(unlessStopped: () => void): Promise<readonly Era[]> {
    const { legacy, modern } = this.#links;
    switch (this.#probing) {
      case 'legacy-first': {
        if (await startsInThisEra(legacy)) return ['legacy'];
        unlessStopped();
        await modern.start();
        return ['modern'];
      }
      case 'modern-first': {
        if (await startsInThisEra(modern))
          return this.#legacyWanted && (await this.#speaksLegacyToo()) ? ['modern', 'legacy'] : ['modern'];
        unlessStopped();
        await legacy.start();
        return ['legacy'];
      }
      case 'both': {
        const started = await Promise.allSettled([legacy.start(), modern.start()]);
        const faults = started.map((one) => (one.status === 'rejected' ? one.reason : undefined));
        const spoken = ERAS.filter((_era, at) => !speaksOtherEra(faults[at]));
        if (started.every(({ status }) => status === 'rejected'))
          throw faults.find((fault) => !speaksOtherEra(fault)) ?? faults[0];
        for (const era of spoken) if (this.#links[era].description === undefined) this.#startAgain(era, 0);
        return spoken;
      }
    }
  }

  #speaksOnly(era: Era): boolean {
    return this.#spoken.length === 1 && this.#spoken[0] === era;
  }

  async #adoptLegacy(): Promise<void> {
    const stops = this.#stops;
    const speaks = await this.#speaksLegacyToo();
    if (!speaks) return;
    if (stops === this.#stops && this.#speaksOnly('modern')) {
      this.#spoken = ['modern', 'legacy'];
      this.#described();
    } else if (!this.#spoken.includes('legacy')) {
      // Nobody is there any more for whom it was started.
      await this.#links.legacy.stop();
    }
  }

  /** Asked once. A server that does not say so soon is spoken to in the one era that it is known to speak. */
  async #speaksLegacyToo(): Promise<boolean> {
    const { legacy } = this.#links;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#times.secondMs);
    });
    const starting = legacy.start().then(
      () => true,
      () => false,
    );
    const speaks = await Promise.race([starting, late]);
    clearTimeout(timer);
    if (!speaks) await legacy.stop();
    return speaks;
  }

  #changed(era: Era, change: ServerChange): void {
    if (!this.#spoken.includes(era)) return;
    if (change === 'tools') this.#described();
    if (change === 'up') {
      clearTimeout(this.#again.get(era));
      this.#again.delete(era);
      this.#described();
    }
    if (change !== 'down') return;
    if (this.spoken.length > 0) return this.#startAgain(era, 0);
    // Nobody is left who could be asked: what it speaks when it comes back is found out anew.
    for (const timer of this.#again.values()) clearTimeout(timer);
    this.#again.clear();
    this.#forget();
    for (const listener of this.#listeners) listener('down');
  }

  #described(): void {
    if (this.#starting !== undefined) return;
    this.#describe();
    for (const listener of this.#listeners) listener('tools');
  }

  #startAgain(era: Era, failures: number): void {
    const stops = this.#stops;
    const { againFirstMs, againMaxMs } = this.#times;
    const timer = setTimeout(
      () => {
        this.#again.delete(era);
        this.#links[era].start().catch(() => {
          if (stops === this.#stops && this.#spoken.includes(era)) this.#startAgain(era, failures + 1);
        });
      },
      Math.min(againMaxMs, againFirstMs * 2 ** Math.min(failures, 10)),
    );
    timer.unref();
    clearTimeout(this.#again.get(era));
    this.#again.set(era, timer);
  }

  #forget(): void {
    this.#spoken = [];
    this.#second = undefined;
    this.#description = undefined;
  }

  /** Puts together what the two say. A tool is what the first says that it is. */
  #describe(): ServerDescription | undefined {
    for (const era of this.#spoken) {
      const said = this.#links[era].description;
      if (said !== undefined) this.#said.set(era, said);
    }
    const known = this.#spoken.filter((era) => this.#said.has(era));
    const [first, second] = known.map((era) => this.#said.get(era));
    this.#bound.clear();
    if (first === undefined) return undefined;
    const tools: ToolDefinition[] = [...first.tools];
    const [firstEra = 'legacy', secondEra = 'legacy'] = known;
    const others = new Map((second?.tools ?? []).map((tool) => [tool.name, tool]));
    for (const tool of second === undefined ? [] : first.tools) {
      const other = others.get(tool.name);
      if (other === undefined || !areAlike(tool, other)) this.#bound.set(tool.name, firstEra);
      others.delete(tool.name);
    }
    for (const tool of others.values()) {
      this.#bound.set(tool.name, secondEra);
      tools.push(tool);
    }
    this.#description = { ...first, capabilities: withTasksOf(second, first.capabilities), tools };
    return this.#description;
  }

  #eraOf({ method, body, manner }: Dispatch): Era {
    const [only, second] = this.#spoken;
    if (only === undefined || second === undefined) return only ?? 'legacy';
    const params = JSON.parse(body) as JsonObject;
    const bound = ONLY[method] ?? (method === 'tools/call' ? this.#bound.get(String(params.name)) : undefined);
    // Answers to questions mean something only to who asked.
    if (Object.hasOwn(params, 'inputResponses') || Object.hasOwn(params, 'requestState')) return 'modern';
    if (bound !== undefined) return bound;
    const { era } = manner;
    const other: Era = era === 'legacy' ? 'modern' : 'legacy';
    // A task is known where it was made, and that was in the era of its client.
    if (this.#links[era].description !== undefined || method.startsWith('tasks/')) return era;
    return this.#links[other].description === undefined ? era : other;
  }

  /** Of what both say, one is heard. */
  #noticed(era: Era, notice: Notice): void {
    const [primary] = this.spoken;
    if (era !== primary && notice.method.endsWith('/list_changed')) return;
    for (const listener of this.#noticeListeners) listener(notice);
  }
}

/** The schemas decide what a valid call is and what a valid answer; everything else about a tool is words. */
function areAlike({ raw: one }: ToolDefinition, { raw: other }: ToolDefinition): boolean {
  const schemas = ({ inputSchema, outputSchema }: JsonObject): string =>
    canonicalJson([inputSchema ?? null, outputSchema ?? null] as readonly Json[] as Json);
  return schemas(one) === schemas(other);
}

/** What only one era has a word for is told by the one that has it: tasks are a capability of 2025-11-25 and an extension since. */
function withTasksOf(second: ServerDescription | undefined, capabilities: JsonObject): JsonObject {
  const { tasks, extensions } = { ...second?.capabilities, ...capabilities };
  return {
    ...capabilities,
    ...(tasks === undefined ? {} : { tasks }),
    ...(extensions === undefined ? {} : { extensions }),
  };
}

/** Starts a connection; false when the peer showed that it speaks another era. Rejects where nothing was shown. */
async function startsInThisEra(link: ToolServer): Promise<boolean> {
  try {
    await link.start();
    return true;
  } catch (fault) {
    if (!speaksOtherEra(fault)) throw fault;
    // That was no failure to be waited out the next time.
    await link.stop();
    return false;
  }
}
