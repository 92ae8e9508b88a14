// The servers of a gate as they were approved. What a running server says that it is, is compared with what a person approved, and never served: where it
// is the same the approved definition is offered, and where it is not the server is set aside, what runs with it is stopped, and it stays down until it is
// approved again. What is approved or taken back while the gate runs counts at once.

import { sha256 } from '../adapters/crypto/node-crypto.ts';
import { StateDocumentRefused } from '../adapters/storage/state-document.ts';
import {
  changesBetween,
  DEFINED_LISTS,
  type DefinedList,
  type DefinitionChanges,
  definitionDigest,
  launchDigest,
  type ServerDefinition,
} from '../control-plane/integrity/definition.ts';
import type { Catalogue, Likeness } from '../proxy/catalogue.ts';
import type { QuarantineCause, Quarantined } from '../proxy/quarantine.ts';
import { type Approval, type Approvals, approvalFor, type KnownApprovals } from './approvals.ts';
import { changesText } from './changes-text.ts';
import type { GateFacts } from './gate-facts.ts';
import { type LiveDefinition, wholeDefinition } from './live-definition.ts';
import { reasonOf } from './output.ts';
import type { ServerLaunch } from './servers.ts';

/** How soon a gate that nobody could tell sees what was approved. */
const LOOK_EVERY_MS = 500;
/** Whose word it is for functions of the program that opens the gate. */
const PROGRAM = 'the program';

export interface ApprovedServersPorts {
  readonly approvals: Pick<Approvals, 'stamp' | 'read' | 'definition' | 'approve' | 'drifted'>;
  readonly launches: readonly ServerLaunch[];
  readonly catalogue: Catalogue;
  readonly facts: Pick<GateFacts, 'serverPinned' | 'serverDrifted' | 'serverWithdrawn'>;
  /** In force when it returns; resolves when what ran has ended. */
  readonly setAside: (quarantined: Quarantined) => Promise<number>;
  readonly lift: (server: string, cause: QuarantineCause) => void;
  /** It is known what to make of a server; `anew`: it is another than the one that was known. */
  readonly arrived: (server: string, anew: boolean) => void;
  /** Whether anybody needs it yet. One that nobody needs is not started. */
  readonly isWanted: (server: string) => boolean;
  /** Starts a server that may be started, or starts it anew; `end` stops it. Never reject. */
  readonly begin: (server: string) => void;
  readonly end: (server: string) => void;
  /** What clients may see of a server is not what it was. */
  readonly announce: (server: string, lists: readonly DefinedList[]) => void;
  /** What a person runs to look at a server, or to approve it. */
  readonly command: (verb: 'approve' | 'diff', launch: ServerLaunch) => string;
  readonly note: (text: string) => void;
}

interface Known {
  readonly launch: ServerLaunch;
  /** The number of the approval that it was started under, or was found to keep to since; undefined where it is not to run. */
  begunUnder?: number | undefined;
  live?: LiveDefinition | undefined;
  /** The number of an approval that was not kept to: it counts no more. */
  broken?: number;
  /** Under which the server is in the catalogue. */
  pinned?: { readonly number: number; readonly digest: string; readonly definition: ServerDefinition };
  /** The policy in force does not know yet what was approved. Who was served before has clients that are to hear of it. */
  opens?: 'first' | 'again' | undefined;
  /** It was offered in this run. */
  served?: boolean;
  /** What was said of it last. */
  said?: string;
}

function asWaiting(id: string): Omit<Quarantined, 'reason'> {
  return { kind: 'server', id, code: 'SERVER_UNAPPROVED', cause: 'approval' };
}

export class ApprovedServers {
  readonly #ports: ApprovedServersPorts;
  readonly #known: ReadonlyMap<string, Known>;
  #approvals: KnownApprovals = { revision: 0, approvals: [] };
  #unreadable: string | undefined;
  #stamp = '';
  #watch: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(ports: ApprovedServersPorts) {
    this.#ports = ports;
    this.#known = new Map(ports.launches.map((launch) => [launch.name, { launch }]));
  }

  /** Reads what is approved, and sees from then on when that changes. Rejects with `StateDocumentRefused` where it cannot be believed. */
  async open(): Promise<void> {
    const { approvals } = this.#ports;
    this.#stamp = await approvals.stamp();
    this.#approvals = await approvals.read();
    for (const known of this.#known.values()) await this.#judge(known);
    this.#watch = setInterval(async () => {
      if ((await approvals.stamp()) !== this.#stamp) await this.look();
    }, LOOK_EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#watch);
  }

  /** Takes in what was approved and taken back since. Never rejects: where that is not known no server is served. */
  look(): Promise<void> {
    return this.#inTurn(async () => {
      const { approvals } = this.#ports;
      // Before it is read: what is written meanwhile is seen as a change.
      this.#stamp = await approvals.stamp();
      try {
        this.#approvals = await approvals.read(this.#approvals.revision);
        this.#unreadable = undefined;
      } catch (error) {
        this.#unreadable = reasonOf(error);
        if (!(error instanceof StateDocumentRefused)) this.#stamp = '';
      }
      for (const known of this.#known.values()) await this.#judge(known).catch((error) => this.#failed(known, error));
    }).catch(() => undefined);
  }

  /** Somebody needs it now. Never rejects. */
  want(server: string): Promise<void> {
    return this.#inTurn(async () => {
      const known = this.#known.get(server);
      if (known !== undefined) await this.#judge(known).catch((error) => this.#failed(known, error));
    });
  }

  /** A server said what it is. Rejects when that could not be recorded; it is to be told again. */
  described({ name }: ServerLaunch, live: LiveDefinition): Promise<void> {
    return this.#inTurn(async () => {
      const known = this.#known.get(name);
      if (known === undefined) return;
      known.live = live;
      await this.#judge(known);
    });
  }

  /** What it runs is not what was approved, and who said so set it aside: nothing of it is started before it is approved again. */
  broke(server: string): void {
    const known = this.#known.get(server);
    const approval = known === undefined ? undefined : this.#approvalOf(known);
    if (known === undefined || approval === undefined) return;
    known.broken = approval.number;
    this.#end(known);
    if (known.pinned === undefined) this.#ports.arrived(server, false);
    else this.#announce(known);
  }

  /** What counts of a server now; undefined where nobody approved it. */
  standing(server: string): Approval | undefined {
    const known = this.#known.get(server);
    return known === undefined ? undefined : this.#approvalOf(known);
  }

  /** How a server that somebody has to himself compares; where it is another one, every server of that name is set aside. */
  likeness({ name }: ServerLaunch, live: LiveDefinition): Likeness {
    const known = this.#known.get(name);
    const approved = known?.pinned?.definition;
    if (known === undefined || approved === undefined) return 'different';
    if (changesBetween(approved, wholeDefinition(live, approved)) === undefined) return 'same';
    void this.described(known.launch, live).catch(() => undefined);
    return 'different';
  }

  /** The rules in force know what these servers offer, or that it is nothing. */
  judged(servers: readonly string[]): void {
    for (const name of servers) {
      const known = this.#known.get(name);
      if (known?.opens === undefined || known.pinned === undefined) continue;
      const { opens } = known;
      known.opens = undefined;
      this.#lift(name);
      if (opens === 'again') this.#announce(known);
    }
  }

  async #judge(known: Known): Promise<void> {
    const { launch, live } = known;
    if (launch.ownProgram === true) return live === undefined ? this.#begin(known, 0) : this.#ofProgram(known, live);
    const approval = this.#approvalOf(known);
    if (approval === undefined) return this.#unapproved(known, 'nobody has approved it');
    if (launch.line !== undefined && approval.environment === null)
      return this.#unapproved(known, 'what it runs was not measured when it was approved');
    if (approval.drift !== null || approval.number === known.broken) return this.#drifted(known, approval, undefined);
    if (!this.#ports.isWanted(launch.name)) {
      // It waits for nobody's approval any more; what it offers nobody knows before it starts.
      if (known.pinned === undefined) this.#lift(launch.name);
      return this.#ports.arrived(launch.name, false);
    }
    if (live === undefined) return this.#beginAsApproved(known, approval);
    const approved = await this.#ports.approvals.definition(approval.definition);
    const seen = wholeDefinition(live, approved);
    const changes = changesBetween(approved, seen);
    if (changes === undefined) {
      known.begunUnder = approval.number;
      return this.#serve(known, approval, approved);
    }
    // What runs may be older than what was approved just now: it is to say again what it is.
    if (known.begunUnder !== approval.number) return this.#beginAsApproved(known, approval);
    return this.#drifted(known, approval, { seen, changes });
  }

  #beginAsApproved(known: Known, { number }: Approval): void {
    const { name } = known.launch;
    if (known.begunUnder === number) return;
    // Where it was another one and is approved anew: from here on it only has to say so itself.
    if (known.pinned !== undefined || known.broken !== undefined)
      void this.#ports.setAside({ ...asWaiting(name), reason: 'it is approved anew, and has not started since' });
    this.#ports.lift(name, 'drift');
    return this.#begin(known, number);
  }

  /** One that starts already is not started once more. */
  #begin(known: Known, number: number): void {
    if (known.begunUnder === number) return;
    known.begunUnder = number;
    known.live = undefined;
    this.#ports.begin(known.launch.name);
  }

  #end(known: Known): void {
    if (known.begunUnder !== undefined) this.#ports.end(known.launch.name);
    known.begunUnder = undefined;
    known.live = undefined;
  }

  /** Whoever opens the gate has the functions and says what they are: nobody else has to. */
  async #ofProgram(known: Known, live: LiveDefinition): Promise<void> {
    const definition = wholeDefinition(live);
    const approval: Approval = {
      server: known.launch.name,
      launch: launchDigest(sha256, definition.launch),
      definition: definitionDigest(sha256, definition),
      environment: null,
      number: 0,
      at: 0,
      by: PROGRAM,
      drift: null,
    };
    const changes = known.pinned === undefined ? undefined : changesBetween(known.pinned.definition, definition);
    if (changes !== undefined) return this.#drifted(known, approval, { seen: definition, changes });
    if (known.pinned !== undefined) return;
    await this.#keepOfProgram(known, definition);
    await this.#serve(known, approval, definition);
  }

  /** Functions that are something else than in the last run are told of, and nobody is asked: the program is its author's. */
  async #keepOfProgram({ launch }: Known, definition: ServerDefinition): Promise<void> {
    const { approvals, note } = this.#ports;
    const last = approvalFor(this.#approvals.approvals, launch.name, launch.description);
    const before = last === undefined ? undefined : await approvals.definition(last.definition).catch(() => undefined);
    const changes = before === undefined ? undefined : changesBetween(before, definition);
    if (before !== undefined && changes === undefined) return;
    if (changes !== undefined) note(`${launch.name}: it is not what it was in the last run: ${changesText(changes)}`);
    await approvals.approve(launch.name, definition, { by: PROGRAM });
  }

  async #serve(known: Known, approval: Approval, definition: ServerDefinition): Promise<void> {
    const { catalogue, facts, arrived } = this.#ports;
    const { name } = known.launch;
    const before = known.pinned;
    if (before?.number === approval.number) return;
    await facts.serverPinned(name, approval, definition, before?.definition);
    const isAnother = before?.digest !== approval.definition;
    known.pinned = { number: approval.number, digest: approval.definition, definition };
    known.said = '';
    if (!isAnother) {
      this.#lift(name);
      return this.#announce(known);
    }
    // Its tools wait for rules that know them: until then it stays set aside where it was.
    known.opens = known.served === true ? 'again' : 'first';
    known.served = true;
    catalogue.pin(name, definition);
    arrived(name, true);
  }

  #lift(name: string): void {
    this.#ports.lift(name, 'approval');
    this.#ports.lift(name, 'drift');
  }

  /** What clients may know is there, and is another or nothing now. */
  #announce({ launch, pinned }: Known, definition = pinned?.definition): void {
    if (definition === undefined) return;
    const lists = DEFINED_LISTS.filter((list) => list === 'tools' || definition[list].length > 0);
    this.#ports.announce(launch.name, lists);
  }

  async #unapproved(known: Known, missing: string): Promise<void> {
    const { setAside, facts, catalogue, arrived, command } = this.#ports;
    const { name } = known.launch;
    const why = this.#unreadable === undefined ? missing : `approvals: ${this.#unreadable}`;
    const stopping = setAside({ ...asWaiting(name), reason: why });
    this.#say(
      known,
      `server ${name} is not approved (${why}), so nothing of it is offered. To look at it and approve it: ${command('approve', known.launch)}`,
    );
    this.#end(known);
    const was = known.pinned;
    if (was === undefined) {
      arrived(name, false);
      await stopping;
      return;
    }
    catalogue.withdraw(name);
    delete known.pinned;
    this.#announce(known, was.definition);
    arrived(name, true);
    await stopping;
    await facts.serverWithdrawn(name, was.definition);
  }

  /** `found`: now, and not in an earlier run. */
  async #drifted(
    known: Known,
    approval: Approval,
    found: { readonly seen: ServerDefinition; readonly changes: DefinitionChanges } | undefined,
  ): Promise<void> {
    const { setAside, approvals, facts, arrived, lift, command } = this.#ports;
    const { name } = known.launch;
    const isNews = known.broken !== approval.number;
    if (!isNews && found === undefined) return;
    const what = found === undefined ? 'it was another one meanwhile' : changesText(found.changes);
    const reason = `it is not what was approved: ${what}`;
    const stopping = setAside({ kind: 'server', id: name, code: 'SERVER_QUARANTINED', reason, cause: 'drift' });
    lift(name, 'approval');
    known.broken = approval.number;
    known.opens = undefined;
    this.#end(known);
    this.#say(
      known,
      `server ${name} is set aside, because ${reason}. To see it: ${command('diff', known.launch)}; where it is as it should be: ${command('approve', known.launch)}`,
    );
    if (known.pinned === undefined) arrived(name, false);
    this.#announce(known);
    await stopping;
    if (found === undefined || !isNews) return;
    await facts.serverDrifted(name, approval, found.seen, found.changes);
    if (approval.number > 0) await approvals.drifted(approval, found.seen);
  }

  #approvalOf({ launch }: Known): Approval | undefined {
    return this.#unreadable === undefined
      ? approvalFor(this.#approvals.approvals, launch.name, launch.description)
      : undefined;
  }

  #failed(known: Known, error: unknown): void {
    const { setAside } = this.#ports;
    const { name } = known.launch;
    const reason = reasonOf(error);
    void setAside({ ...asWaiting(name), reason });
    this.#say(known, `server ${name} is set aside: ${reason}`);
  }

  #say(known: Known, text: string): void {
    if (known.said === text) return;
    known.said = text;
    this.#ports.note(text);
  }

  /** One after the other: what was seen first counts first. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
