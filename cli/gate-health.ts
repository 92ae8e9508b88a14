// How a gate is, in words for a person and for programs: what shuts it, since when, and what opens it; what waits for a person. It says nothing that
// is not the operator's to know, and no secret: arguments, results and keys are not in it.

import type { JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import type { StandingSince } from '../proxy/breaker-log.ts';
import type { QuarantineCause, Quarantined } from '../proxy/quarantine.ts';
import type { UnknownCall } from '../proxy/unknown-calls.ts';
import type { Guard, GuardState } from '../state-machines/breaker.machine.ts';
import type { ReviewVerb } from './review-command.ts';

/** Longer lists are cut, with their length beside them. */
const LISTED_MAX = 32;
const TEXT_CHARACTERS_MAX = 120;
const COMMAND_CHARACTERS_MAX = 600;

export interface HealthSources {
  readonly standings: () => readonly StandingSince[];
  readonly unknownCalls: () => readonly UnknownCall[];
  readonly quarantined: () => readonly Quarantined[];
  readonly served: () => readonly string[];
  /** What a person runs next for a server. */
  readonly command: (verb: ReviewVerb, server: string) => string;
}

export interface GateHealth extends JsonObject {
  readonly open: boolean;
}

/** Small enough for one line on the control socket, whatever others wrote into it. */
export function healthOf(gate: HealthSources): GateHealth {
  const shut = gate.standings().filter(({ state }) => state !== 'open');
  const calls = gate.unknownCalls();
  const quarantined = gate.quarantined();
  return {
    open: shut.length === 0,
    shut: shut.map(({ guard, state, since, reason }) => ({
      guard,
      state,
      code: reason?.code ?? 'GOV_NOT_READY',
      detail: short(reason?.detail ?? ''),
      since: new Date(since).toISOString(),
      opens: opensWhen(guard, state),
    })),
    serving: gate.served().slice(0, LISTED_MAX),
    quarantined: quarantined.slice(0, LISTED_MAX).map((one) => ({
      kind: one.kind,
      id: short(one.id),
      code: one.code,
      reason: short(one.reason),
      lifted: nextFor(one, gate.command),
    })),
    quarantinedInAll: quarantined.length,
    unknownCalls: calls.slice(0, LISTED_MAX).map(({ call, at, agent, server, tool, code }) => ({
      call,
      at: new Date(at).toISOString(),
      agent: short(agent),
      server: short(server),
      tool: short(tool),
      code,
    })),
    unknownCallsInAll: calls.length,
  };
}

const NEXT: Readonly<Record<Exclude<QuarantineCause, 'counts'>, ReviewVerb>> = {
  approval: 'approve',
  drift: 'diff',
  environment: 'integrity',
};

function nextFor({ id, cause = 'counts' }: Quarantined, command: HealthSources['command']): string {
  return cause === 'counts'
    ? 'portcullis quarantine lift'
    : visibleText(command(NEXT[cause], id), COMMAND_CHARACTERS_MAX).slice(0, COMMAND_CHARACTERS_MAX);
}

/** What cannot be shown as it is takes more room than it had. */
const short = (text: string): string => visibleText(text, TEXT_CHARACTERS_MAX).slice(0, TEXT_CHARACTERS_MAX);

/** What opens a gate that this guard keeps shut. */
export function opensWhen(guard: Guard, state: GuardState): string {
  switch (state) {
    case 'open':
      return 'it is open';
    case 'starting':
      return 'by itself, when it has started';
    case 'failed':
      return `by itself: ${TRIES[guard] ?? 'it is tried again'}`;
    case 'held':
      return guard === 'halt'
        ? 'portcullis resume'
        : 'mend the rules (portcullis policy check) and start the gate again';
    case 'broken':
      return 'not in this run: start the gate again, and say what you saw if it happens again';
  }
}

const TRIES: Partial<Record<Guard, string>> = {
  ledger: 'the ledger is opened anew until it can be written',
  servers: 'servers are started again',
  engine: 'what decides is started again',
  stall: 'when the process keeps up again',
  policy: 'the policy is tried again',
};
