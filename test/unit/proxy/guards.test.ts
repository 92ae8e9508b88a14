// What becomes of a call that is with its tool when the world changes: looked at every second, and at once where something tells us.

import { describe, expect, it } from 'vitest';
import type { DenialCode } from '../../../domain/denial.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { PermitClaims } from '../../../domain/permit.ts';
import { Gate } from '../../../proxy/gate.ts';
import { Liveness, PROGRESS_SIGNS_PER_SECOND_MAX } from '../../../proxy/guards/liveness.ts';
import { STALL_MS } from '../../../proxy/guards/watchdog.ts';
import { type GuardedCall, type GuardedWorld, whyNot } from '../../../proxy/guards/why-not.ts';
import { proves } from '../../guarantees.ts';
import { PRINCIPAL, resultOf, settled, World, type WorldOptions } from '../../support/gate-world.ts';
import { hooks, NO_QUESTIONS } from '../../support/hooks.ts';

/** A call that is with its tool. */
async function running(options: WorldOptions = {}) {
  const world = await World.open(options);
  world.server.respond = () => undefined;
  const captured = world.capture();
  const call = world.start(captured);
  await settled();
  const heard = world.server.heard[0];
  if (heard === undefined) throw new Error('the tool did not hear of it');
  const eventsOf = () =>
    world.entriesOf(captured.call).flatMap(({ events }) => events as { type: string; code?: string }[]);
  return { world, captured, call, heard, eventsOf };
}

describe('a call that runs', () => {
  const changes: readonly (readonly [string, DenialCode, (world: World, jti: string) => void])[] = [
    ['the gate fell shut', 'GOV_HALTED', ({ governance }) => governance.shut('operator', 'GOV_HALTED', 'a defect')],
    ['its agent was revoked', 'REVOKED_AGENT', (world) => world.revoke('agent', PRINCIPAL.agent)],
    ['its server was revoked', 'REVOKED_SERVER', (world) => world.revoke('server', 'fs')],
    ['its permit was revoked', 'REVOKED_JTI', (world, jti) => world.revoke('jti', jti)],
    ['its server was approved with another definition', 'ENV_ATTESTATION', (world) => world.drift()],
    [
      'its server was set aside',
      'SERVER_QUARANTINED',
      ({ quarantine }) => quarantine.put({ kind: 'server', id: 'fs', code: 'SERVER_QUARANTINED', reason: 'a test' }),
    ],
    ['other rules came into force', 'POLICY_DIGEST', (world) => (world.rules += 1)],
    [
      'what it belongs to has ended',
      'LINEAGE_UNKNOWN_PARENT',
      (world) => {
        world.tree.standing = () => ({ code: 'LINEAGE_UNKNOWN_PARENT' });
      },
    ],
  ];
  for (const [what, code, change] of changes) {
    proves('G12', `is stopped within a second once ${what}, though nobody says so: ${code}`, async () => {
      const { world, call, heard, eventsOf, captured } = await running();
      change(world, call.permit);
      world.clock.advance(1_100);
      await settled();
      expect(await call.end).toMatchObject({ kind: 'denied', code, executed: 'perhaps', recorded: true });
      expect(heard.cancelled).toBeDefined();
      expect(eventsOf().at(-1)).toMatchObject({ type: 'authority.withdrawn', code });
      expect(world.verdictOf(captured.call).verdict).toBe('match');
    });
  }

  proves('G4', 'is stopped when a guard throws', async () => {
    const { world, call } = await running();
    world.quarantine.refusal = () => {
      throw new Error('broken');
    };
    world.clock.advance(1_100);
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'VERIFIER_FAULT', recorded: true });
    expect(world.defects).toEqual([]);
  });

  it('is stopped in the very moment in which the gate falls shut', async () => {
    const { world, call } = await running();
    world.governance.shut('revocations', 'GOV_REVOCATION_STALE', 'a gap');
    expect(await call.end).toMatchObject({ code: 'GOV_REVOCATION_STALE' });
  });

  it('goes on while nothing changes, while a server comes, and where its server lets it finish under other rules', async () => {
    const { world, call, heard } = await running({ onPolicyChange: 'finish' });
    world.rules += 1;
    world.governance.advanceEpoch();
    world.clock.advance(9_000);
    heard.answer(resultOf('done'));
    expect(await call.end).toMatchObject({ kind: 'result' });
  });

  it('outlives a deciding side that comes back, and no other', async () => {
    const { world, call } = await running();
    const { governance, clock } = world;
    governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    clock.advance(2_000);
    governance.open('engine');
    governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    clock.advance(4_800);
    await settled();
    expect(world.entriesOf(call.call)).toHaveLength(1);
    clock.advance(1_300);
    expect(await call.end).toMatchObject({ code: 'POLICY_ENGINE_FAULT' });
  });

  it('does not outlive one that is said to be gone again and again', async () => {
    const { world, call } = await running();
    for (let times = 0; times < 3; times++) {
      world.governance.shut('engine', 'POLICY_ENGINE_FAULT', `gone, ${times}`);
      world.clock.advance(2_000);
      await settled();
    }
    expect(await Promise.race([call.end, settled()])).toMatchObject({ code: 'POLICY_ENGINE_FAULT' });
  });

  it('is not released when its authority is withdrawn while its answer is checked', async () => {
    const { world, call, heard } = await running();
    heard.answer(resultOf('done'));
    world.revoke('agent', PRINCIPAL.agent);
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'REVOKED_AGENT' });
  });

  it('is looked at by one timer for all, and by none when nothing runs', async () => {
    const world = await World.open();
    world.server.respond = () => undefined;
    const timers = () => world.clock.timers;
    const calls = Array.from({ length: 5 }, (_, n) => world.start(world.capture({ n })));
    await settled();
    expect(timers()).toBe(5 + 1);
    for (const heard of world.server.heard) heard.answer(resultOf('done'));
    await Promise.all(calls.map(({ end }) => end));
    world.clock.advance(200);
    expect(timers()).toBe(0);
  });
});

describe('whyNot', () => {
  const claims = {
    sub: 'a',
    jti: 'j',
    txn: 'r',
    pol: { dig: 'sha256:p' },
    env: { att: 'sha256:e', tool: 'sha256:d' },
    lin: { node: 'n' },
    authorization_details: [{ server: 's', tool: 't' }],
  } as unknown as PermitClaims;
  const ledger = {};
  const guarded = { call: 'n', inChain: true, claims, kid: 'k', ledger, rules: 1 } as unknown as GuardedCall;
  const calm: GuardedWorld = {
    shut: () => undefined,
    ledger: () => ledger,
    revoked: () => false,
    setAside: () => undefined,
    attestation: () => 'sha256:e',
    definition: () => 'sha256:d',
    rules: () => 1,
    onPolicyChange: () => 'cancel',
    ancestors: () => undefined,
  };
  const revoked = (kind: string, id: string): Partial<GuardedWorld> => ({ revoked: (k, i) => k === kind && i === id });
  it.each<[DenialCode, Partial<GuardedWorld>]>([
    ['GOV_HALTED', { shut: () => ({ guard: 'halt', code: 'GOV_HALTED', detail: '' }) }],
    ['GOV_LEDGER_UNWRITABLE', { ledger: () => ({}) }],
    ['AGENT_QUARANTINED', { setAside: () => ({ code: 'AGENT_QUARANTINED' }) }],
    ['REVOKED_JTI', revoked('jti', 'j')],
    ['REVOKED_ROOT', revoked('root', 'r')],
    ['REVOKED_NODE', revoked('node', 'n')],
    ['REVOKED_AGENT', revoked('agent', 'a')],
    ['REVOKED_SERVER', revoked('server', 's')],
    ['REVOKED_TOOL', revoked('tool', 's/t')],
    ['REVOKED_POLICY', revoked('policy', 'sha256:p')],
    ['REVOKED_KEY', revoked('key', 'k')],
    ['ENV_UNKNOWN', { attestation: () => undefined }],
    ['SERVER_QUARANTINED', { attestation: () => ({ code: 'SERVER_QUARANTINED' }) }],
    ['ENV_ATTESTATION', { attestation: () => 'sha256:f' }],
    ['ENV_TOOL_DEFINITION', { definition: () => undefined }],
    ['POLICY_DIGEST', { rules: () => 2 }],
    ['LINEAGE_PARENT_NOT_EXECUTING', { ancestors: () => ({ code: 'LINEAGE_PARENT_NOT_EXECUTING' }) }],
  ])('names %s, and nothing where nothing changed', (code, change) => {
    expect(whyNot(guarded, { ...calm, ...change })?.code).toBe(code);
    expect(whyNot(guarded, calm)).toBeUndefined();
  });

  it('asks nobody above about what was answered, and lets finish what may', () => {
    const alone = { ...guarded, inChain: false };
    expect(whyNot(alone, { ...calm, ancestors: () => ({ code: 'LINEAGE_REVOKED' }) })).toBeUndefined();
    expect(whyNot(guarded, { ...calm, rules: () => 2, onPolicyChange: () => 'finish' })).toBeUndefined();
  });
});

describe('a tool that shows no progress', () => {
  const silentAfter = (ms: number, act: (liveness: Liveness) => void): boolean => {
    const liveness = new Liveness(5_000, 0);
    act(liveness);
    return liveness.isSilent(ms);
  };

  it('is silent after its time, and not before', () => {
    expect(silentAfter(4_999, () => {})).toBe(false);
    expect(silentAfter(5_000, () => {})).toBe(true);
  });

  it('has its time anew with progress that grows', () => {
    expect(silentAfter(8_999, (one) => one.progress(1, 4_000))).toBe(false);
    expect(silentAfter(9_000, (one) => one.progress(1, 4_000))).toBe(true);
  });

  const USELESS: readonly (readonly [string, (liveness: Liveness) => void])[] = [
    ['the same value again', (one) => [1, 2, 3].forEach((_, n) => void one.progress(1, 1_500 * (n + 1)))],
    ['a value that falls', (one) => [3, 2, 1].forEach((value, n) => void one.progress(value, 1_500 * (n + 1)))],
    [
      'what is no number',
      (one) => [null, '2', Number.NaN].forEach((value, n) => void one.progress(value, 1_500 * (n + 1))),
    ],
    [
      'a flood, however it grows',
      (one) => {
        for (let n = 0; n < 100 * 6; n++) one.progress(n, n * 10);
      },
    ],
  ];
  for (const [what, act] of USELESS) it(`gains nothing by ${what}`, () => expect(silentAfter(6_501, act)).toBe(true));

  it('gains by as much as anybody can look at', () => {
    const much = (one: Liveness) => {
      for (let n = 0; n < PROGRESS_SIGNS_PER_SECOND_MAX; n++) one.progress(n, 4_000 + n);
    };
    expect(silentAfter(8_999, much)).toBe(false);
  });

  proves('G12', 'is stopped, whatever it says that is no progress, and the client hears why', async () => {
    const { world, call, heard, eventsOf, captured } = await running({ idleTimeoutMs: 2_000 });
    for (let each = 0; each < 5; each++) {
      heard.progress({ progress: 7 });
      world.clock.advance(700);
    }
    await settled();
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'TOOL_SILENT' });
    expect(eventsOf().at(-1)).toEqual({ type: 'deadline.passed', code: 'TOOL_SILENT' });
    expect(world.entriesOf(captured.call).at(-1)?.outcome).toMatchObject({ status: 'timed_out', code: 'TOOL_SILENT' });
    expect(world.verdictOf(captured.call).verdict).toBe('match');
  });

  it('owes nothing while the client is asked something', async () => {
    const world = await World.open({ idleTimeoutMs: 2_000 });
    world.server.respond = () => undefined;
    let answer: () => void = () => {};
    const answered = new Promise<{ kind: 'result'; result: JsonObject }>((resolve) => {
      answer = () => resolve({ kind: 'result', result: {} });
    });
    const captured = world.capture();
    const call = world.enforcement.start(
      captured,
      {
        limits: world.enforcement.limits(captured),
        hooks: hooks({ ask: () => ({ answer: answered, cancel: () => {} }) }),
        ...NO_QUESTIONS,
      },
      {},
    );
    await settled();
    world.server.heard[0]?.hooks.ask({ method: 'roots/list', params: {} });
    world.clock.advance(8_000);
    await settled();
    expect(world.entriesOf(captured.call)).toHaveLength(1);
    answer();
    await settled();
    world.clock.advance(3_100);
    expect(await call.end).toMatchObject({ code: 'TOOL_SILENT' });
  });

  it('never lasts longer than its deadline, however alive it is', async () => {
    const { world, call, heard } = await running({ idleTimeoutMs: 2_000 });
    for (let n = 0; n < 25; n++) {
      heard.progress({ progress: n });
      world.clock.advance(500);
    }
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'DEADLINE_EXCEEDED' });
  });
});

describe('a gate that stood still', () => {
  proves('G4', 'is shut until it runs smoothly again, and says so', async () => {
    const { world, heard, call } = await running();
    world.clock.stall(STALL_MS + 200);
    world.clock.advance(0);
    expect(world.governance.reason).toMatchObject({ guard: 'stall', code: 'GOV_STALLED' });
    expect(world.governance.snapshot()).toMatchObject({ code: 'GOV_STALLED' });
    world.clock.advance(50);
    expect(world.governance.reason).toBeUndefined();
    heard.answer(resultOf('done'));
    expect(await call.end).toMatchObject({ kind: 'result' });
  });

  it('does not take a machine that is busy for one that stood still', async () => {
    const { world } = await running();
    world.clock.stall(STALL_MS + 99);
    expect(world.governance.reason).toBeUndefined();
  });

  proves('G12', 'looks at everything at once, before anything that waited', async () => {
    const { world, call } = await running();
    world.revoke('agent', PRINCIPAL.agent);
    world.clock.stall(STALL_MS + 200);
    expect(await call.end).toMatchObject({ code: 'REVOKED_AGENT' });
  });

  it('releases no answer that came after the deadline, though the answer is heard first', async () => {
    const { world, call, heard } = await running();
    world.clock.elapsed += 10_001;
    world.clock.wall += 10_001;
    heard.answer(resultOf('late'));
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'DEADLINE_EXCEEDED' });
  });

  it('counts the time that the machine slept', async () => {
    const { world, call } = await running();
    world.clock.jump(3_600_000);
    world.clock.advance(100);
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'DEADLINE_EXCEEDED' });
  });

  it('holds what would be decided, sent or released, for the moment that it takes, and denies nothing for it', async () => {
    const { world, call, heard } = await running();
    world.clock.stall(STALL_MS + 200);
    heard.answer(resultOf('done'));
    const another = world.start(world.capture({ path: '/w/b.txt' }));
    await settled();
    expect(world.server.heard).toHaveLength(1);
    expect(world.entriesOf(call.call)).toHaveLength(1);
    world.clock.advance(50);
    await settled();
    expect(await call.end).toMatchObject({ kind: 'result' });
    expect(world.server.heard).toHaveLength(2);
    world.server.heard[1]?.answer(resultOf('done'));
    expect(await another.end).toMatchObject({ kind: 'result' });
  });

  it('holds a permit that comes meanwhile, or is verified just then, and denies nothing for it', async () => {
    let decided: () => void = () => {};
    const verifying: (() => void)[] = [];
    const world = await World.open({
      makeGate: (ports) =>
        new Gate({
          ...ports,
          crypto: {
            ...ports.crypto,
            verifyPermit: async (...signed) => {
              await new Promise<void>((go) => verifying.push(go));
              return ports.crypto.verifyPermit(...signed);
            },
          },
        }),
    });
    world.authority.decide = async (request) => {
      await new Promise<void>((go) => {
        decided = go;
      });
      return world.allow(request);
    };
    const call = world.start(world.capture());
    await settled();
    world.clock.stall(STALL_MS + 200);
    decided();
    await settled();
    expect(verifying).toHaveLength(0);
    world.clock.advance(50);
    await settled();
    world.clock.stall(STALL_MS + 200);
    verifying[0]?.();
    await settled();
    world.clock.advance(50);
    await settled();
    verifying[1]?.();
    expect(await call.end).toMatchObject({ kind: 'result' });
  });

  it('sends nothing whose intent became durable meanwhile, before it runs smoothly', async () => {
    const written: (() => void)[] = [];
    class Slow extends Gate {
      override async record(...of: Parameters<Gate['record']>): ReturnType<Gate['record']> {
        const recorded = await super.record(...of);
        await new Promise<void>((go) => written.push(go));
        return recorded;
      }
    }
    const world = await World.open({ makeGate: (ports) => new Slow(ports) });
    const call = world.start(world.capture());
    await settled();
    world.clock.stall(STALL_MS + 200);
    written[0]?.();
    await settled();
    expect(world.server.heard).toHaveLength(0);
    world.clock.advance(50);
    expect(await call.end).toMatchObject({ kind: 'result' });
  });

  proves('G4', 'and goes on doing so denies what comes, and keeps back what was answered', async () => {
    const { world, call, heard } = await running();
    world.clock.stall(STALL_MS + 200);
    heard.answer(resultOf('done'));
    const another = world.start(world.capture({ path: '/w/b.txt' }));
    for (let each = 0; each < 18; each++) {
      await settled();
      world.clock.stall(STALL_MS + 50);
    }
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'GOV_STALLED' });
    expect(await another.end).toMatchObject({ kind: 'denied', code: 'GOV_STALLED', executed: 'no' });
  });

  it('is no stall where nothing is in flight', async () => {
    const world = await World.open();
    world.clock.stall(60_000);
    expect(world.governance.reason).toBeUndefined();
    expect(await world.run()).toMatchObject({ kind: 'result' });
  });
});

it('a call that did not go through the door has no standing', async () => {
  const world = await World.open();
  const gate: Gate = world.gate;
  const recorded = await world.recorded();
  expect(() => gate.stands(recorded)).toThrow('did not go through');
});
