import { describe, expect, it } from 'vitest';
import { healthOf, opensWhen } from '../../../cli/gate-health.ts';
import type { QuarantineCause } from '../../../proxy/quarantine.ts';
import { GUARDS, WAYS } from '../../../state-machines/breaker.machine.ts';

describe('how a gate is', () => {
  const hostile = '\u202e"\n'.repeat(5_000);
  const many = Array.from({ length: 500 }, (_, n) => n);
  const gate = {
    standings: () =>
      GUARDS.map((guard) => ({
        guard,
        state: 'failed' as const,
        since: 1_790_000_000_000,
        reason: { code: 'GOV_NOT_READY' as const, detail: hostile },
      })),
    unknownCalls: () =>
      many.map((n) => ({
        call: `${n}`,
        at: 1_790_000_000_000,
        agent: hostile,
        server: hostile,
        tool: hostile,
        code: 'TOOL_LOST',
        same: 'never said',
      })),
    quarantined: () =>
      many.map((n) => ({
        kind: 'server' as const,
        id: `${n}${hostile}`,
        code: 'SERVER_UNAPPROVED' as const,
        reason: hostile,
        cause: 'approval' as const,
      })),
    command: (verb: string, server: string) => `portcullis ${verb} ${server}`,
    served: () => many.map(String),
  };

  it('fits into one line of the control socket, whatever others wrote into it, and shows it as text', () => {
    const said = JSON.stringify(healthOf(gate));
    expect(said.length).toBeLessThan(60_000);
    expect(said).not.toContain('\u202e');
    expect(said).not.toContain('never said');
    expect(healthOf(gate)).toMatchObject({ open: false, unknownCallsInAll: 500, quarantinedInAll: 500 });
  });

  it('is open when nothing shuts it', () => {
    const standings = () => GUARDS.map((guard) => ({ guard, state: 'open' as const, since: 0 }));
    const nothing = {
      standings,
      unknownCalls: () => [],
      quarantined: () => [],
      served: () => ['fs'],
      command: () => '',
    };
    expect(healthOf(nothing)).toMatchObject({
      open: true,
      shut: [],
      serving: ['fs'],
      unknownCalls: [],
      quarantined: [],
    });
  });

  it('says what to run next for a server, for each cause that set it aside', () => {
    const aside = (cause: QuarantineCause) => ({
      kind: 'server' as const,
      id: 'fs',
      code: 'SERVER_QUARANTINED' as const,
      reason: 'x',
      cause,
    });
    const { quarantined } = healthOf({
      ...gate,
      quarantined: () => (['approval', 'drift', 'environment', 'counts'] as const).map(aside),
    });
    expect((quarantined as { lifted: string }[]).map(({ lifted }) => lifted)).toEqual([
      'portcullis approve fs',
      'portcullis diff fs',
      'portcullis integrity fs',
      'portcullis quarantine lift',
    ]);
  });

  it('says of each guard and each way in which it shuts the gate what opens it', () => {
    const said = GUARDS.flatMap((guard) => WAYS[guard].map((way) => opensWhen(guard, way)));
    expect(said.every((text) => text.length > 10 && !text.includes('it is tried again'))).toBe(true);
    expect(opensWhen('halt', 'held')).toBe('portcullis resume');
  });
});
