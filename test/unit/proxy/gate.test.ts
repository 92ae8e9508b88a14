// The gate with real permits. Whatever is not the very value that this gate made opens nothing, and whatever changed since then shuts it.

import { describe, expect, it } from 'vitest';
import { Defect } from '../../../domain/defect.ts';
import type { DenialCode } from '../../../domain/denial.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { captureCall } from '../../../proxy/captured-call.ts';
import type { RecordedCall, VerifiedPermit } from '../../../proxy/gate.ts';
import { SpentPermits } from '../../../proxy/spent-permits.ts';
import { PLAIN_MANNER } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { endingOf, intentOf, PRINCIPAL, settled, World } from '../../support/gate-world.ts';
import { QUIET } from '../../support/hooks.ts';
import { lineAt, sources } from '../../support/sources.ts';

/** The thumbprint of some key. */
const KEY = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

/** What somebody could try to pass for a value of the gate. */
const FORGERIES: Record<string, (real: object) => unknown> = {
  'a plain object': () => ({}),
  'a frozen look-alike': () => Object.freeze({}),
  'an object that inherits from the real one': (real) => Object.create(real),
  'an object with the prototype of the real one': (real) => Object.create(Object.getPrototypeOf(real)),
  'an object whose prototype was set to the real one': (real) => Object.setPrototypeOf({}, real),
  'a structured clone': (real) => structuredClone(real),
  'a proxy around the real one': (real) => new Proxy(real, {}),
  'a spread copy': (real) => ({ ...real }),
  'a copy by assignment': (real) => Object.assign({}, real),
  'a copy with its descriptors': (real) => Object.defineProperties({}, Object.getOwnPropertyDescriptors(real)),
  'a round trip through JSON': (real) => JSON.parse(JSON.stringify(real)),
  'an array that holds it': (real) => [real],
  'a weak reference to it': (real) => new WeakRef(real),
  'a text': () => 'eyJhbGciOiJFZDI1NTE5In0.e30.c2ln',
  'a permit as claims': () => ({ jti: '01KAJ0000000000000000JT001', aud: 'urn:portcullis:test' }),
  undefined: () => undefined,
  null: () => null,
  'a number': () => 1,
  'a symbol': () => Symbol('recordedCall'),
  'a function': () => QUIET,
};

describe('what nobody can make by hand', () => {
  for (const [what, forge] of Object.entries(FORGERIES)) {
    proves('G1', `${what} does not open the door, and the tool hears nothing`, async () => {
      const world = await World.open();
      const forged = forge(await world.recorded());
      expect(() => world.gate.execute(forged as RecordedCall, QUIET)).toThrow(Defect);
      expect(world.server.heard).toEqual([]);
    });

    it(`${what} is not taken for a verified permit, and nothing is recorded`, async () => {
      const world = await World.open();
      const captured = world.capture();
      const forged = forge(await world.verified(captured));
      await expect(world.gate.record(forged as VerifiedPermit, intentOf(captured), [])).rejects.toThrow(Defect);
      expect(world.entriesOf(captured.call)).toEqual([]);
    });

    it(`${what} concludes nothing`, async () => {
      const world = await World.open();
      const captured = world.capture();
      const forged = forge(await world.recorded(captured));
      await expect(world.gate.conclude(forged as RecordedCall, endingOf(captured), [])).rejects.toThrow(Defect);
      expect(world.entriesOf(captured.call)).toHaveLength(1);
    });
  }

  proves('G1', 'a verified permit that was not recorded does not open the door', async () => {
    const world = await World.open();
    const verified = await world.verified();
    expect(() => world.gate.execute(verified as unknown as RecordedCall, QUIET)).toThrow(Defect);
    expect(world.server.heard).toEqual([]);
  });

  it('a recorded call is not a verified permit: it cannot be recorded again', async () => {
    const world = await World.open();
    const captured = world.capture();
    const recorded = (await world.recorded(captured)) as unknown as VerifiedPermit;
    await expect(world.gate.record(recorded, intentOf(captured), [])).rejects.toThrow(Defect);
  });

  proves('G1', 'a value of another gate means nothing here', async () => {
    const [here, there] = [await World.open(), await World.open()];
    const foreign = await there.recorded();
    expect(() => here.gate.execute(foreign, QUIET)).toThrow(Defect);
    expect([...here.server.heard, ...there.server.heard]).toEqual([]);
    const captured = there.capture();
    const verified = await there.verified(captured);
    await expect(here.gate.record(verified, intentOf(captured), [])).rejects.toThrow(Defect);
  });

  it('shows nothing: the values are empty, frozen and alike', async () => {
    const world = await World.open();
    for (const value of [await world.verified(), await world.recorded()]) {
      expect(Object.isFrozen(value)).toBe(true);
      expect(Reflect.ownKeys(value)).toEqual([]);
      expect(JSON.stringify(value)).toBe('{}');
    }
  });

  proves('G1', 'no other line of the product hands a call to a server', () => {
    const doors = sources(['cli', 'proxy', 'control-plane', 'ledger', 'state-machines', 'domain', 'adapters']).flatMap(
      (source) =>
        [...source.code.matchAll(/\.dispatch\(/g)].map(({ index }) => `${source.path}:${lineAt(source.code, index)}`),
    );
    const core = doors.filter((place) => !place.startsWith('adapters/upstream/'));
    expect(core).toEqual([expect.stringMatching(/^proxy\/gate\.ts:/)]);
  });
});

describe('once', () => {
  proves('G3', 'a recorded call opens the door once', async () => {
    const world = await World.open();
    const recorded = await world.recorded();
    expect(world.gate.execute(recorded, QUIET)).toHaveProperty('answer');
    expect(world.gate.execute(recorded, QUIET)).toEqual({ code: 'PERMIT_SPENT' });
    expect(world.server.heard).toHaveLength(1);
  });

  proves('G3', 'a call that was refused at the door is not let in later', async () => {
    const world = await World.open();
    const recorded = await world.recorded();
    world.governance.shut('halt', 'GOV_HALTED', 'a test');
    expect(world.gate.execute(recorded, QUIET)).toMatchObject({ code: 'GOV_HALTED' });
    world.governance.open('halt');
    expect(world.gate.execute(recorded, QUIET)).toEqual({ code: 'PERMIT_SPENT' });
    expect(world.server.heard).toEqual([]);
  });

  proves(
    'G4',
    'a call whose intent was handed over while the gate was shut is not made when it is open again',
    async () => {
      const world = await World.open();
      const captured = world.capture();
      const verified = await world.verified(captured);
      world.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'a test');
      const recording = world.gate.record(verified, intentOf(captured), []);
      world.governance.open('engine');
      const recorded = await recording;
      if (!('recorded' in recorded)) throw new Error('not recorded');
      expect(world.gate.execute(recorded.recorded, QUIET)).toEqual({ code: 'POLICY_ENGINE_FAULT', detail: 'a test' });
      expect(world.server.heard).toEqual([]);
    },
  );

  it('a verified permit is recorded once, even when both are asked for at the same time', async () => {
    const world = await World.open();
    const captured = world.capture();
    const verified = await world.verified(captured);
    const both = await Promise.allSettled([
      world.gate.record(verified, intentOf(captured), []),
      world.gate.record(verified, intentOf(captured), []),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(world.entriesOf(captured.call)).toHaveLength(1);
  });

  proves('G3', 'of many presentations of one permit at the same time exactly one passes', async () => {
    // The arithmetic of signatures runs elsewhere and ends in any order.
    const world = await World.open();
    const captured = world.capture();
    const permit = world.permitFor(world.requestFor(captured));
    const { verifyPermit } = world.crypto;
    Object.assign(world.crypto, {
      verifyPermit: async (...parts: Parameters<typeof verifyPermit>) => {
        for (let turns = Math.floor(Math.random() * 5); turns > 0; turns--) await settled();
        return verifyPermit(...parts);
      },
    });
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => world.gate.verify(permit, captured)));
    expect(verdicts.filter((verdict) => 'verified' in verdict)).toHaveLength(1);
    expect(verdicts.filter((verdict) => 'code' in verdict && verdict.code === 'PERMIT_REPLAYED')).toHaveLength(19);
  });

  proves('G3', 'a permit that was used is refused for the next call with the same arguments', async () => {
    const world = await World.open();
    const first = world.capture();
    const permit = world.permitFor(world.requestFor(first));
    expect(await world.gate.verify(permit, first)).toHaveProperty('verified');
    expect(await world.gate.verify(permit, first)).toMatchObject({ code: 'PERMIT_REPLAYED' });
    expect(await world.gate.verify(permit, world.capture())).toHaveProperty('code');
  });

  proves('G3', 'a permit of before a restart is void', async () => {
    const before = await World.open();
    const captured = before.capture();
    const permit = before.permitFor(before.requestFor(captured));
    const after = await World.open();
    // Even where the key stayed the same: the audience names the start.
    const sameKeys = { ...before.gatePorts, audience: after.gatePorts.audience, governance: after.governance };
    const { Gate } = await import('../../../proxy/gate.ts');
    const restarted = new Gate({ ...sameKeys, spent: new SpentPermits() });
    expect(await restarted.verify(permit, captured)).toMatchObject({ code: 'ID_GATEWAY' });
  });
});

describe('the door looks again, in the tick in which the bytes would leave', () => {
  const CHANGES: readonly [string, DenialCode, (world: World) => void][] = [
    ['the agent is revoked', 'GOV_REVOCATION_BEHIND', (w) => w.revoke('agent', PRINCIPAL.agent)],
    [
      'the server is revoked and nobody counted it yet',
      'REVOKED_SERVER',
      (w) => w.revocations.apply({ number: 1, kind: 'server', id: 'fs', at: w.clock.now() }),
    ],
    ['an operator halts the gate', 'GOV_HALTED', (w) => w.governance.shut('operator', 'GOV_HALTED', '')],
    ['the policy is withdrawn', 'GOV_POLICY_INVALID', (w) => w.governance.shut('policy', 'GOV_POLICY_INVALID', '')],
    ['the engine is gone', 'GOV_NOT_READY', (w) => w.governance.shut('engine', 'POLICY_ENGINE_FAULT', '')],
    ['a server is not ready', 'GOV_NOT_READY', (w) => w.governance.shut('servers', 'SERVER_UNAVAILABLE', '')],
    ['the ledger fails', 'GOV_LEDGER_UNWRITABLE', (w) => w.keeper.fail('a test')],
    ['the rules change', 'GOV_EPOCH_MISMATCH', (w) => w.governance.advanceEpoch()],
    ['another policy is installed', 'POLICY_DIGEST', (w) => Object.assign(w, { policy: `sha256:${'A'.repeat(43)}` })],
    ['no policy is installed any more', 'POLICY_DIGEST', (w) => Object.assign(w, { policy: undefined })],
    [
      'the environment of the server is another',
      'ENV_ATTESTATION',
      (w) => Object.assign(w, { environment: { code: 'ENV_ATTESTATION', detail: 'a file changed' } }),
    ],
    [
      'the environment of the server is just measured again',
      'ENV_UNKNOWN',
      (w) => Object.assign(w, { environment: { code: 'ENV_UNKNOWN' } }),
    ],
    ['the server is approved with another definition', 'ENV_ATTESTATION', (w) => w.drift()],
    ['the permit runs out', 'PERMIT_EXPIRED', (w) => w.clock.advance(15_000)],
    [
      'the permit runs out by the clock that cannot be set',
      'GOV_CLOCK',
      (w) => {
        w.clock.elapsed += 15_000;
      },
    ],
    [
      'the wall clock is set back',
      'GOV_CLOCK',
      (w) => {
        w.clock.wall -= 3_600_000;
      },
    ],
    [
      'the server is gone',
      'SERVER_UNAVAILABLE',
      (w) => {
        w.serverIsThere = false;
      },
    ],
    [
      'the checks themselves fail',
      'VERIFIER_FAULT',
      (w) =>
        Object.assign(w.crypto, {
          sha256: () => {
            throw new Error('out of order');
          },
        }),
    ],
  ];

  for (const [what, code, change] of CHANGES) {
    proves('G4', `${what} between record and execute: denied, and nothing leaves`, async () => {
      const world = await World.open();
      const recorded = await world.recorded();
      change(world);
      expect(world.gate.execute(recorded, QUIET)).toMatchObject({ code });
      expect(world.server.heard).toEqual([]);
    });
  }

  proves(
    'G1',
    'a ledger that was opened anew since the intent: denied, because recovery has ended the call',
    async () => {
      const world = await World.open();
      const captured = world.capture();
      const recorded = await world.recorded(captured);
      const ending = { ...endingOf(captured), outcome: { status: 'completed', dispatched: true } };
      world.keeper.fail('a test');
      world.clock.advance(500);
      await settled();
      expect(world.generations).toBe(2);
      expect(world.governance.reason).toBeUndefined();
      expect(world.gate.execute(recorded, QUIET)).toMatchObject({ code: 'GOV_LEDGER_UNWRITABLE' });
      expect(world.server.heard).toEqual([]);
      // And the ending goes to the generation that holds the intent, or nowhere.
      await expect(world.gate.conclude(recorded, ending, [])).rejects.toThrow();
    },
  );

  it('nothing changed: the same call passes', async () => {
    const world = await World.open();
    expect(world.gate.execute(await world.recorded(), QUIET)).toHaveProperty('answer');
    expect(world.server.heard).toHaveLength(1);
  });
});

describe('the bytes', () => {
  const args = (): JsonObject => ({ z: [1, { b: 'ü', a: null }], path: '/w/a.txt', '10': 1, '9': 2 });

  proves('G2', 'what is dispatched is the canonical body, whatever happens to the objects of the client', async () => {
    const world = await World.open();
    const mine = args() as Record<string, unknown>;
    const meta: Record<string, unknown> = { trace: { id: 'a' } };
    const captured = world.capture(mine as JsonObject, 'write_file', meta as JsonObject);
    const recorded = await world.recorded(captured);
    mine.path = '/etc/passwd';
    (mine.z as unknown[]).push('more');
    delete mine['9'];
    (meta.trace as Record<string, unknown>).id = 'b';
    world.gate.execute(recorded, QUIET);
    const [heard] = world.server.heard;
    expect(heard?.dispatch.body).toBe(
      '{"arguments":{"10":1,"9":2,"path":"/w/a.txt","z":[1,{"a":null,"b":"ü"}]},"name":"write_file"}',
    );
    expect(heard?.dispatch.body).toBe(captured.body);
    expect(heard?.dispatch.meta).toEqual({ trace: { id: 'a' } });
    expect(heard?.dispatch.outputBytesMax).toBe(65_536);
  });

  it('a captured call cannot be changed', async () => {
    const world = await World.open();
    const captured = world.capture();
    expect(() => Object.assign(captured, { body: '{}' })).toThrow(TypeError);
  });

  proves(
    'G2',
    'a hand-made call that is changed after its permit was verified is sent as it was verified',
    async () => {
      const world = await World.open();
      const honest = world.capture();
      const handMade = { ...honest, salt: Uint8Array.from(honest.salt), principal: { ...PRINCIPAL } };
      const recorded = await world.recorded(handMade);
      const body = '{"arguments":{"path":"/etc/passwd"},"name":"read_file"}';
      Object.assign(handMade, {
        body,
        argumentsJson: '{"path":"/etc/passwd"}',
        metaJson: '{"x":1}',
        tool: 'read_file',
      });
      Object.assign(handMade.principal, { agent: 'somebody else' });
      handMade.salt.fill(0);
      world.gate.execute(recorded, QUIET);
      expect(world.server.heard).toMatchObject([{ dispatch: { body: honest.body, meta: {} } }]);
    },
  );

  proves(
    'G2',
    'a hand-made call that shows each reader something else is sent as it was checked or not at all',
    async () => {
      for (const honestReads of [0, 1, 2, 3, 4]) {
        const world = await World.open();
        const honest = world.capture();
        let reads = 0;
        const twoFaced = Object.defineProperty({ ...honest }, 'body', {
          enumerable: true,
          get: () => (reads++ < honestReads ? honest.body : '{"arguments":{"path":"/etc/passwd"},"name":"write_file"}'),
        });
        const verification = await world.gate.verify(world.permitFor(world.requestFor(honest)), twoFaced);
        if ('code' in verification) continue;
        const recorded = await world.gate.record(verification.verified, intentOf(honest), []);
        if ('code' in recorded) throw new Error(recorded.code);
        world.gate.execute(recorded.recorded, QUIET);
        expect(world.server.heard).toMatchObject([{ dispatch: { body: honest.body } }]);
      }
    },
  );

  it('a permit for one call does not verify for another: arguments, tool, _meta, principal', async () => {
    const world = await World.open();
    const { crypto } = world;
    const captured = world.capture();
    const { call, at, atMonotonic } = captured;
    const plain = { method: 'tools/call', rest: {}, meta: {}, manner: PLAIN_MANNER } as const;
    const same = { ...plain, call, at, atMonotonic, principal: PRINCIPAL, server: 'fs', tool: 'write_file' };
    const permit = world.permitFor(world.requestFor(captured));
    const others = [
      captureCall(crypto, { ...same, arguments: { path: '/w/b.txt' } }),
      captureCall(crypto, { ...same, arguments: { path: '/w/a.txt' }, tool: 'read_file' }),
      captureCall(crypto, { ...same, arguments: { path: '/w/a.txt' }, meta: { x: 1 } }),
      captureCall(crypto, { ...same, arguments: { path: '/w/a.txt' }, rest: { task: {} } }),
      captureCall(crypto, { ...same, arguments: { path: '/w/a.txt' }, method: 'prompts/get' }),
      captureCall(crypto, { ...same, arguments: { path: '/w/a.txt' }, principal: { ...PRINCIPAL, agent: 'x' } }),
    ];
    for (const other of others) expect(await world.gate.verify(permit, other)).toHaveProperty('code');
    expect(await world.gate.verify(permit, captured)).toHaveProperty('verified');
  });

  it('a permit that is bound to a key verifies for the holder of this key only', async () => {
    const world = await World.open();
    const bound = { ...world.capture(), principal: { ...PRINCIPAL, proofKey: KEY } };
    const permit = world.permitFor(world.requestFor(bound));
    for (const principal of [PRINCIPAL, { ...PRINCIPAL, proofKey: `${KEY.slice(1)}A` }]) {
      expect(await world.gate.verify(permit, { ...bound, principal })).toMatchObject({ code: 'ID_PROOF_KEY' });
    }
    const unbound = { ...bound, principal: PRINCIPAL };
    expect(await world.gate.verify(world.permitFor(world.requestFor(unbound)), bound)).toMatchObject({
      code: 'ID_PROOF_KEY',
    });
    expect(await world.gate.verify(permit, bound)).toHaveProperty('verified');
  });
});

describe('intent and ending', () => {
  it('takes the intent and the ending of this very call only', async () => {
    const world = await World.open();
    const [mine, other] = [world.capture(), world.capture({ path: '/w/b.txt' })];
    const verified = await world.verified(mine);
    await expect(world.gate.record(verified, intentOf(other), [])).rejects.toThrow('another call');
    await expect(world.gate.record(verified, { ...intentOf(mine), type: 'note' }, [])).rejects.toThrow(Defect);
    const recorded = await world.recorded(world.capture());
    await expect(world.gate.conclude(recorded, endingOf(mine), [])).rejects.toThrow('another call');
    expect(world.server.heard).toEqual([]);
  });

  proves('G1', 'a ledger that refuses the intent leaves nothing that could open the door', async () => {
    let broken = false;
    const world = await World.open({
      faults: ({ operation }) => (broken && operation === 'sync' ? 'fails' : 'succeeds'),
    });
    const captured = world.capture();
    const verified = await world.verified(captured);
    broken = true;
    expect(await world.gate.record(verified, intentOf(captured), [])).toMatchObject({ code: 'GOV_LEDGER_UNWRITABLE' });
    await expect(world.gate.record(verified, intentOf(captured), [])).rejects.toThrow(Defect);
    expect(world.server.heard).toEqual([]);
  });

  proves('G1', 'the intent is durable before the recorded call exists', async () => {
    const world = await World.open();
    const captured = world.capture();
    await world.recorded(captured);
    expect(world.entriesOf(captured.call, true)).toMatchObject([{ type: 'call.intent', call: captured.call }]);
  });
});
