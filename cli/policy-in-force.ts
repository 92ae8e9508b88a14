// Which policy is in force, and over which servers. It comes into force with the servers that are there, and anew when another one comes. A
// server whose tools do not fit the policy is left out and named; a policy that fits no server shuts the gate. Nothing is decided here.

import type { PolicySource, Problem, ServerTools } from '../control-plane/policy/source.ts';
import { problemText } from '../control-plane/policy/source.ts';
import type { DenialCode } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Catalogue, PinnedServer } from '../proxy/catalogue.ts';
import type { Governance } from '../proxy/governance.ts';
import type { PolicyTurnover } from '../proxy/policy-turnover.ts';
import type { Authority, Clock, InstallResult } from '../proxy/ports.ts';
import type { Configuration } from './configuration.ts';
import { reasonOf } from './output.ts';

export interface PolicyPorts {
  /** Undefined where there is no policy for these servers: the gate then works, records, and denies every call. */
  readonly configuration: Configuration | undefined;
  /** The names of all servers, in the order of the configuration. */
  readonly servers: readonly string[];
  readonly authority: Authority;
  readonly catalogue: Catalogue;
  readonly facts: {
    /** Records it. Rejects when it could not. */
    policyInstalled(policy: Digest, version: number, boot: string, source: PolicySource): Promise<void>;
  };
  readonly governance: Governance;
  readonly turnover: PolicyTurnover;
  readonly clock: Clock;
  readonly note: (text: string) => void;
  /** What calls of a server are denied with that was set aside. */
  readonly setAside?: (server: string) => DenialCode | undefined;
  /** These servers were not there before; now calls of them can be decided. */
  readonly onServed: (servers: readonly string[]) => void;
  /** Of these servers it is known whether the policy fits them: they are served, or left out. */
  readonly onJudged?: ((servers: readonly string[]) => void) | undefined;
}

/** Servers that start together are there together: a policy for each of them would only be made to be replaced. */
const GRACE_MS = 300;
/** After the ledger refused the fact, or nobody could look at the policy; longer each time. */
const AGAIN_MS = 1_000;
const AGAIN_MS_MAX = 30_000;

type Refused = Extract<InstallResult, { ok: false }>;

export class PolicyInForce {
  readonly #ports: PolicyPorts;
  readonly #there = new Set<string>();
  #served: readonly string[] = [];
  #unfit: readonly string[] = [];
  #digest: Digest | undefined;
  #stopTimer: (() => void) | undefined;
  #working = false;
  #closed = false;
  /** Attempts in a row that failed for no fault of the policy. */
  #failures = 0;
  readonly #told = new Set<string>();
  /** Settles when the gate is open, or cannot open by itself. */
  readonly settled: Promise<void>;
  #settle: () => void = () => {};

  constructor(ports: PolicyPorts) {
    this.#ports = ports;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    if (ports.servers.length === 0) this.#after(0);
  }

  get digest(): Digest | undefined {
    return this.#digest;
  }

  /**
   * Grows when other rules come into force. That the same ones apply to a further server changes nothing for the calls of those before it, and a
   * gate reads its rules once.
   */
  get rules(): number {
    return this.#digest === undefined ? 0 : 1;
  }

  /** The servers whose calls can be decided. */
  get served(): readonly string[] {
    return this.#served;
  }

  /** The rules were held against what it offers, and do not fit it. */
  isLeftOut(server: string): boolean {
    return this.#unfit.includes(server);
  }

  /** It is known what a server offers, or that it is nothing. One that was there before needs no other policy, unless it is another one now. */
  arrived(server: string, anew = false): void {
    if (this.#there.has(server) && !anew) return;
    this.#there.add(server);
    this.#after(this.#there.size === this.#ports.servers.length ? 0 : GRACE_MS);
  }

  close(): void {
    this.#closed = true;
    this.#stopTimer?.();
  }

  #after(ms: number): void {
    if (this.#closed || (this.#stopTimer !== undefined && ms > 0)) return;
    this.#stopTimer?.();
    this.#stopTimer = this.#ports.clock.timer(ms, () => {
      this.#stopTimer = undefined;
      void this.#bring();
    });
  }

  /** One at a time: whoever comes meanwhile is taken along by the next. A ledger that refuses delays it; the policy before stays. */
  async #bring(): Promise<void> {
    if (this.#working) return this.#after(GRACE_MS);
    this.#working = true;
    try {
      const there = this.#ports.servers.filter((server) => this.#there.has(server));
      const known = there.filter((server) => this.#ports.catalogue.server(server) !== undefined);
      const fault = await this.#install(known);
      if (fault === undefined) {
        this.#failures = 0;
        this.#unfit = known.filter((server) => !this.#served.includes(server));
        this.#ports.onJudged?.(there);
      } else this.#later('POLICY_ENGINE_FAULT', problemsText(fault.problems));
      this.#settle();
    } catch (fault) {
      this.#later('GOV_NOT_READY', reasonOf(fault));
    } finally {
      this.#working = false;
    }
  }

  /** What is in force stays, and it is tried again. */
  #later(code: DenialCode, reason: string): void {
    if (this.#closed) return;
    const { governance, note } = this.#ports;
    note(`the policy could not come into force yet: ${reason}`);
    if (this.#digest === undefined) governance.shut('policy', code, reason);
    this.#after(Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** Math.min(this.#failures, 10)));
    this.#failures += 1;
  }

  /** Returns why nobody could look at the policy. */
  async #install(there: readonly string[]): Promise<Refused | undefined> {
    const { configuration, governance, servers, onServed } = this.#ports;
    const known = (server: string): boolean => configuration?.manifest.servers[server] !== undefined;
    if (configuration === undefined || !servers.every(known)) {
      governance.open('engine');
      governance.shut('policy', 'GOV_POLICY_MISSING', 'no policy for this server');
      governance.open('servers');
      this.#served = there;
      onServed(there);
      return undefined;
    }
    if (there.length === 0 && servers.length > 0) {
      // Rules about nothing cannot be checked. What is in force stays, and nothing is offered that it could be asked about.
      const code = servers.map((server) => this.#ports.setAside?.(server)).find((one) => one !== undefined);
      governance.shut('servers', code ?? 'SERVER_UNAVAILABLE', 'no server is offered');
      this.#served = there;
      return undefined;
    }
    const before = this.#served;
    const refused = await this.#try(there, configuration);
    if (refused !== undefined && refused.fault !== true) await this.#installSome(there, refused, configuration);
    governance.open('servers');
    const come = this.#served.filter((server) => !before.includes(server));
    if (come.length > 0) onServed(come);
    return refused?.fault === true ? refused : undefined;
  }

  /** Not all fit together. First without those whose own tools do not fit, then whoever can be added to what is in force. */
  async #installSome(there: readonly string[], refused: Refused, configuration: Configuration): Promise<void> {
    const blamed = new Set(refused.problems.flatMap(({ server }) => server ?? []));
    const innocent = there.filter((server) => !blamed.has(server));
    const why = new Map<string, readonly Problem[]>(
      [...blamed].map((server) => [server, refused.problems.filter((problem) => problem.server === server)]),
    );
    const together =
      blamed.size > 0 && innocent.some((server) => !this.#served.includes(server))
        ? await this.#try(innocent, configuration)
        : refused;
    if (together !== undefined && there.length > 1) {
      for (const server of innocent) {
        if (this.#served.includes(server)) continue;
        const served = there.filter((other) => other === server || this.#served.includes(other));
        const problems = await this.#try(served, configuration);
        if (problems !== undefined) why.set(server, problems.problems);
      }
    }
    if (this.#digest === undefined) return this.#invalid(refused.problems);
    for (const server of there) {
      if (!this.#served.includes(server)) this.#leftOut(server, why.get(server) ?? refused.problems);
    }
  }

  /** Puts the policy in force over these servers; or says why not, and leaves what is in force. Rejects when it could not be recorded. */
  async #try(servers: readonly string[], configuration: Configuration): Promise<Refused | undefined> {
    const { authority, facts, governance, turnover, catalogue } = this.#ports;
    const tools = servers.flatMap((server) => {
      const pinned = catalogue.server(server);
      return pinned === undefined ? [] : [toolsOf(pinned)];
    });
    const source: PolicySource = { manifest: configuration.source, policies: configuration.policies, tools };
    const isFirst = this.#digest === undefined;
    let letGo: (() => void) | undefined;
    try {
      const installed = await authority.install(source, configuration.manifest, async (digest) => {
        // A crash behind this line leaves the fact of a policy under which nothing was decided.
        await facts.policyInstalled(digest, governance.epoch + (isFirst ? 0 : 1), governance.boot, source);
        letGo = await turnover.hold();
      });
      if (!installed.ok) return installed;
      this.#digest = installed.digest;
      this.#served = servers;
      if (!isFirst) governance.advanceEpoch();
      governance.open('policy');
      return undefined;
    } finally {
      letGo?.();
    }
  }

  #invalid(problems: readonly Problem[]): void {
    const { governance, note } = this.#ports;
    note(`the policy is not valid, so every call is denied:\n  ${problemsText(problems)}`);
    governance.shut('policy', 'GOV_POLICY_INVALID', problems.map(problemText)[0] ?? 'not valid');
  }

  #leftOut(server: string, problems: readonly Problem[]): void {
    const text = `server ${server} is not available, because the policy does not fit its tools:\n  ${problemsText(problems)}`;
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#ports.note(text);
  }
}

function problemsText(problems: readonly Problem[]): string {
  return problems.map(problemText).join('\n  ');
}

/** What rules are checked against. */
function toolsOf({ name, tools }: PinnedServer): ServerTools {
  return {
    server: name,
    tools: [...tools.values()].map((tool) => ({
      name: tool.name,
      inputSchema: tool.definition.inputSchema as JsonObject,
      ...(tool.definition.outputSchema === undefined
        ? {}
        : { outputSchema: tool.definition.outputSchema as JsonObject }),
    })),
  };
}
