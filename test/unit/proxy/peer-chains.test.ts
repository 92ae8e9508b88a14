import { afterEach, describe, expect, it } from 'vitest';
import { generateSigningKey } from '../../../adapters/crypto/node-crypto.ts';
import { CLOCKS_APART_MS_MAX, STALE_AFTER_MS } from '../../../control-plane/lineage/feed.ts';
import { permitIssuer } from '../../../domain/permit.ts';
import { HANDSHAKE_MS_MAX } from '../../../proxy/peer-session.ts';
import { EXPECTED_WITHIN_MS } from '../../../proxy/peers.ts';
import { proves } from '../../guarantees.ts';
import { commitmentOf } from '../../support/commitments.ts';
import { announced, callId } from '../../support/feed.ts';
import { LIMITS, resultOf, settled, World } from '../../support/gate-world.ts';
import { Gates, Line, PROOF_KEY, trust, WORKER } from '../../support/peer-gates.ts';
import { digestOf } from '../../support/permits.ts';

const opened: Gates[] = [];
const open = async (...cnf: Parameters<typeof Gates.open>): Promise<Gates> => {
  const gates = await Gates.open(...cnf);
  opened.push(gates);
  return gates;
};
afterEach(() => {
  for (const gates of opened.splice(0)) gates.close();
});

describe('a token of another gate is refused', () => {
  proves('G11', 'by a gate that is not named in it, by another agent, and with another key', async () => {
    const gates = await open();
    const { token } = await gates.running(gates.first);
    expect(await gates.denied(token, gates.third)).toBe('LINEAGE_AUDIENCE');
    expect(await gates.denied(token, gates.other, { ...WORKER, agent: 'else' })).toBe('LINEAGE_BEARER');
    expect(await gates.denied(token, gates.other, { ...WORKER, proofKey: 'x'.repeat(43) })).toBe('LINEAGE_BEARER');
    const { proofKey: _, ...unproven } = WORKER;
    expect(await gates.denied(token, gates.other, unproven)).toBe('LINEAGE_BEARER');
    expect(await gates.denied(token, await World.open({ instance: 'd' }))).toBe('LINEAGE_ISSUER_UNTRUSTED');
    expect(gates.other.server.heard).toHaveLength(0);
  });

  proves('G11', 'where it is bound to a connection that is another one there', async () => {
    // The pins of a certificate are the same connection at every gate; an API key is not.
    const gates = await open({ conn: WORKER.connection });
    const { token } = await gates.running(gates.first);
    const elsewhere = { ...WORKER, connection: commitmentOf('another') };
    expect(await gates.denied(token, gates.other, elsewhere)).toBe('LINEAGE_BEARER');
    expect(await gates.running(gates.other, { by: WORKER, token, path: '/w/b' })).toBeDefined();
  });

  proves('G11', 'once its call has ended, and never before its gate has said that it runs', async () => {
    const gates = await open();
    const { call, token, heard } = await gates.running(gates.first);
    heard.answer(resultOf('done'));
    expect(await call.end).toMatchObject({ kind: 'result' });
    expect(await gates.denied(token)).toBe('LINEAGE_PARENT_NOT_EXECUTING');
    gates.line.hold();
    const second = await gates.running(gates.first, { path: '/w/2' });
    expect(await gates.denied(second.token)).toBe('LINEAGE_UNKNOWN_PARENT');
    gates.line.release();
    await settled();
    expect(await gates.running(gates.other, { by: WORKER, token: second.token })).toBeDefined();
  });

  proves('G11', 'when its gate is silent', async () => {
    const gates = await open();
    const { token } = await gates.running(gates.first);
    gates.line.hold();
    await gates.wait(STALE_AFTER_MS + 1);
    expect(await gates.denied(token)).toBe('LINEAGE_PEER_STALE');
    expect(gates.reasons(gates.other)).toEqual(['silent']);
  });

  it('without a session that its gate would say anything in', async () => {
    const gates = await open();
    const { token } = await gates.running(gates.first);
    gates.line.cut();
    await settled();
    expect(await gates.denied(token)).toBe('LINEAGE_PEER_STALE');
  });
});

describe('a call that comes sooner than the news of what it belongs to', () => {
  it('waits for that', async () => {
    const gates = await open();
    gates.line.hold();
    const { token } = await gates.running(gates.first);
    const waited = gates.other.enforcement.expected(token, WORKER);
    expect(waited).toBeInstanceOf(Promise);
    gates.line.release();
    await waited;
    expect(await gates.running(gates.other, { by: WORKER, token })).toBeDefined();
  });

  it('waits no longer than a moment, and only with a token that is good in all else', async () => {
    const gates = await open();
    gates.line.hold();
    const { token } = await gates.running(gates.first);
    expect(gates.other.enforcement.expected(token, { ...WORKER, agent: 'else' })).toBeUndefined();
    expect(gates.other.enforcement.expected(`${token}A`, WORKER)).toBeUndefined();
    expect(gates.other.enforcement.expected('x', WORKER)).toBeUndefined();
    expect(gates.third.enforcement.expected(token, WORKER)).toBeUndefined();
    let waited = false;
    void gates.other.enforcement.expected(token, WORKER)?.then(() => {
      waited = true;
    });
    await gates.wait(EXPECTED_WITHIN_MS - 1);
    expect(waited).toBe(false);
    await gates.wait(1);
    expect(waited).toBe(true);
    expect(await gates.denied(token)).toBe('LINEAGE_UNKNOWN_PARENT');
  });

  it('does not wait where its call is known, or over', async () => {
    const gates = await open();
    const { call, token, heard } = await gates.running(gates.first);
    expect(gates.other.enforcement.expected(token, WORKER)).toBeUndefined();
    heard.answer(resultOf('done'));
    await call.end;
    expect(gates.other.enforcement.expected(token, WORKER)).toBeUndefined();
    expect(gates.first.enforcement.expected(token, WORKER)).toBeUndefined();
  });
});

describe('when a call ends that has others under it at another gate', () => {
  proves('G11', 'by its answer, they are stopped and recorded before that is released', async () => {
    const gates = await open();
    const { above, below } = await gates.chain();
    gates.line.hold();
    above.heard.answer(resultOf('done'));
    await settled();
    let released = false;
    void above.call.end.then(() => {
      released = true;
    });
    await settled();
    expect(released).toBe(false);
    gates.line.release();
    expect(await below.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PARENT_ENDED' });
    expect(below.heard.cancelled).toBe('LINEAGE_PARENT_ENDED');
    expect(await above.call.end).toMatchObject({ kind: 'result' });
    const [joined] = gates.first.ofPeers.filter(({ type }) => type === 'peer.joined');
    expect(joined).toMatchObject({ peer: 'b', node: above.call.call, child: below.call.call });
    expect(gates.other.registry.size).toBe(0);
  });

  proves('G11', 'its result is withheld where the other gate does not say that they are over', async () => {
    const gates = await open();
    const { above, below } = await gates.chain();
    gates.line.hold();
    above.heard.answer(resultOf('done'));
    await gates.wait(STALE_AFTER_MS + 250);
    expect(await above.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PEER_STALE', executed: 'yes' });
    expect(await below.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PEER_STALE' });
  });

  proves('G11', 'an error that it answers with is withheld as well', async () => {
    const gates = await open();
    const { above } = await gates.chain();
    gates.line.cut();
    await settled();
    above.heard.answer({ kind: 'error', error: { code: -32_000, message: 'no' }, bytes: 2 });
    expect(await above.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PEER_STALE' });
  });

  proves('G11', 'because it was cancelled, so do they', async () => {
    const gates = await open();
    const { above, below } = await gates.chain();
    above.call.stop({ type: 'call.cancelled', by: 'client' });
    expect(await below.call.end).toMatchObject({ code: 'LINEAGE_PARENT_ENDED' });
    expect(await above.call.end).toMatchObject({ code: 'CANCELLED' });
  });

  proves('G11', 'by its deadline, they have had no more time, whatever the clocks say', async () => {
    const gates = await open();
    gates.other.clock.wall -= CLOCKS_APART_MS_MAX - 1_000;
    gates.line.cut();
    await settled();
    gates.line = new Line(gates.first, gates.other);
    await settled();
    await gates.wait(2_000);
    const above = await gates.running(gates.first);
    await gates.wait(LIMITS.timeoutMs - 500);
    const below = await gates.running(gates.other, { by: WORKER, token: above.token, path: '/w/b' });
    gates.line.hold();
    gates.other.clock.advance(500);
    expect(await below.call.end).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});

describe('a revocation', () => {
  proves('G12', 'at either gate stops the chain at both', async () => {
    for (const at of ['first', 'other'] as const) {
      const gates = await open();
      const { above, below } = await gates.chain();
      const root = above.call.call;
      gates[at].revocations.apply({ number: 1, kind: 'root', id: root, at: 0 });
      void gates[at].enforcement.revoke('root', root);
      await settled();
      above.heard.answer(resultOf('late'));
      below.heard.answer(resultOf('late'));
      expect(await below.call.end).toMatchObject({ code: 'LINEAGE_REVOKED' });
      expect(await above.call.end).toMatchObject({ code: 'LINEAGE_REVOKED' });
      expect(await gates.denied(above.token)).toMatch(/^LINEAGE_/);
      const stopped = gates.first.ofPeers.filter(({ type }) => type === 'peer.stopped');
      expect(stopped).toHaveLength(at === 'other' ? 1 : 0);
    }
  });

  proves('G12', 'of what is above at the other gate reaches it, of what is not stays here', async () => {
    const gates = await open();
    const { above, below } = await gates.chain();
    void gates.other.enforcement.revoke('agent', 'worker');
    expect(await below.call.end).toMatchObject({ code: 'LINEAGE_REVOKED' });
    expect(gates.first.ofPeers.some(({ type }) => type === 'peer.stopped')).toBe(false);
    void gates.other.enforcement.revoke('node', above.call.call);
    expect(await above.call.end).toMatchObject({ code: 'LINEAGE_REVOKED' });
  });
});

describe('a peer', () => {
  it('that says what cannot be is believed in nothing', async () => {
    const gates = await open();
    const { below } = await gates.chain();
    gates.line.change = (text, direction) => (direction === 'there' ? [text, text] : [text]);
    await gates.wait(1_500);
    expect(gates.reasons(gates.other)).toEqual(['sequence']);
    expect(await below.call.end).toMatchObject({ code: 'LINEAGE_PEER_STALE' });
  });

  it('whose clock is too far from ours is believed in nothing', async () => {
    const gates = await open();
    gates.line.cut();
    await settled();
    gates.other.clock.wall += CLOCKS_APART_MS_MAX + 1_000;
    gates.line = new Line(gates.first, gates.other);
    await settled();
    const { call, token, heard } = await gates.running(gates.first);
    expect(await gates.denied(token)).toBe('LINEAGE_AUDIENCE');
    heard.answer(resultOf('alone'));
    expect(await call.end).toMatchObject({ kind: 'result' });
  });

  it('that was not in session when a call was handed out is not named in its token, and not waited for', async () => {
    const gates = await open();
    gates.line.cut();
    await settled();
    const { call, token, heard } = await gates.running(gates.first);
    gates.line = new Line(gates.first, gates.other);
    await settled();
    expect(await gates.denied(token)).toBe('LINEAGE_AUDIENCE');
    heard.answer(resultOf('done'));
    expect(await call.end).toMatchObject({ kind: 'result' });
  });

  proves('G11', 'that comes back hears what runs, and has stopped what ran there before', async () => {
    const gates = await open();
    const { above, below } = await gates.chain();
    gates.line.cut();
    expect(await below.call.end).toMatchObject({ code: 'LINEAGE_PEER_STALE' });
    gates.line = new Line(gates.first, gates.other);
    await settled();
    const again = await gates.running(gates.other, { by: WORKER, token: above.token, path: '/w/c' });
    above.heard.answer(resultOf('done'));
    expect(await again.call.end).toMatchObject({ code: 'LINEAGE_PARENT_ENDED' });
    expect(await above.call.end).toMatchObject({ kind: 'result' });
  });

  it('that connects anew takes the place of what it was before, and what ran is stopped', async () => {
    const gates = await open();
    const { below } = await gates.chain();
    const anew = new Line(gates.first, gates.other);
    await settled();
    expect(await below.call.end).toMatchObject({ code: 'LINEAGE_PEER_STALE' });
    expect(gates.reasons(gates.other)).toEqual(['replaced']);
    gates.line = anew;
    const { token } = await gates.running(gates.first, { path: '/w/9' });
    expect(await gates.running(gates.other, { by: WORKER, token, path: '/w/10' })).toBeDefined();
  });

  it('is not put aside by an old hello that somebody repeats', async () => {
    const gates = await open();
    const { below } = await gates.chain();
    const answers: string[] = [];
    let closed = false;
    const somebody = gates.other.peers.connect({
      send: (text) => answers.push(text),
      close: () => {
        closed = true;
      },
    });
    const [hello = ''] = gates.line.passed;
    somebody.receive(hello);
    expect(answers).not.toHaveLength(0);
    const [, , first = ''] = gates.line.passed;
    somebody.receive(first);
    expect(closed).toBe(true);
    await settled();
    expect(below.heard.cancelled).toBeUndefined();
    expect(gates.reasons(gates.other)).toEqual([]);
  });

  it('that says nothing, or dials whom it should not, has no session', async () => {
    const gates = await open();
    const closed: string[] = [];
    const silent = gates.other.peers.connect({ send: () => {}, close: () => closed.push('silent') });
    expect(silent).toBeDefined();
    // The first dials the other, so the other does not dial the first.
    const dialling = gates.first.peers.connect({ send: () => {}, close: () => closed.push('dialling') });
    const hello: string[] = [];
    gates.other.peers.connect({ send: (text) => hello.push(text), close: () => {} }, permitIssuer('a'));
    dialling.receive(hello[0] ?? '');
    expect(closed).toEqual(['dialling']);
    await gates.wait(HANDSHAKE_MS_MAX);
    expect(closed).toEqual(['dialling', 'silent']);
  });
});

describe('a peer that lies', () => {
  it('about calls that joined nothing is believed in nothing', async () => {
    const gates = await open();
    const liar = await gates.liar('other');
    expect(liar.closed).toBe(false);
    liar.say({ type: 'joined', node: callId(1), child: callId(2), entry: announced(2).entry });
    expect(liar.closed).toBe(true);
    expect(gates.reasons(gates.first)).toEqual(['closed', 'event']);
    expect(gates.first.ofPeers.some(({ type }) => type === 'peer.joined')).toBe(false);
  });

  it('stops no chain that it has no part in', async () => {
    const gates = await open();
    gates.line.cut();
    await settled();
    const alone = await gates.running(gates.first);
    const liar = await gates.liar('other');
    liar.say({ type: 'stop', root: alone.call.call });
    expect(liar.closed).toBe(true);
    expect(alone.heard.cancelled).toBeUndefined();
    alone.heard.answer(resultOf('done'));
    expect(await alone.call.end).toMatchObject({ kind: 'result' });
  });

  proves(
    'G11',
    'about the chain of a token, or hands out two for one call, gets nothing admitted with it',
    async () => {
      const gates = await open();
      const liar = await gates.liar('first');
      const [node, root] = [callId(1), callId(2)];
      const token = liar.token(node, root, PROOF_KEY);
      expect(await gates.denied(token)).toBe('LINEAGE_UNKNOWN_PARENT');
      liar.say({ type: 'running', ...announced(1, { root: callId(3), token: digestOf(token) }) });
      expect(await gates.denied(token)).toBe('LINEAGE_UNKNOWN_PARENT');
      const second = liar.token(callId(4), root, PROOF_KEY);
      liar.say({ type: 'running', ...announced(4, { root, token: digestOf(second) }) });
      expect(await gates.denied(liar.token(callId(4), root, PROOF_KEY))).toBe('LINEAGE_UNKNOWN_PARENT');
      expect(await gates.running(gates.other, { by: WORKER, token: second, path: '/w/b' })).toBeDefined();
    },
  );

  proves('G11', 'by its silence about what is under a call has the result of that withheld', async () => {
    const gates = await open();
    const liar = await gates.liar('other');
    const { call, heard } = await gates.running(gates.first);
    heard.answer(resultOf('done'));
    await settled();
    expect(liar.heard.map(({ type }) => type)).toEqual(['snapshot', 'running', 'ended']);
    for (let beat = 0; beat < 6; beat++) {
      liar.say({ type: 'beat' });
      await gates.wait(1_000);
    }
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PEER_STALE' });
    expect(liar.closed).toBe(false);
  });
});

describe('a gate that was started anew', () => {
  proves('G11', 'cannot say what became of what ran there before', async () => {
    const gates = await open();
    const { above } = await gates.chain();
    gates.line.cut();
    await settled();
    const { a, b } = gates.keys;
    const anew = await World.open({ instance: 'b', key: b, trusted: [trust('a', a)] });
    gates.line = new Line(gates.first, anew);
    await settled();
    above.heard.answer(resultOf('done'));
    expect(await above.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PEER_STALE' });
    anew.peers.close();
  });
});

proves(
  'G11',
  'a call at another gate has ended for the one above it when that is recorded, and not before',
  async () => {
    const gates = await open();
    const { above, below } = await gates.chain();
    let record: () => void = () => {};
    const recording = new Promise<void>((resolve) => {
      record = resolve;
    });
    const { gate } = gates.other;
    const conclude = gate.conclude.bind(gate);
    gate.conclude = async (...ending) => {
      await recording;
      return conclude(...ending);
    };
    below.heard.answer(resultOf('below'));
    await settled();
    above.heard.answer(resultOf('above'));
    await settled();
    let released = false;
    void above.call.end.then(() => {
      released = true;
    });
    await settled();
    expect(released).toBe(false);
    record();
    expect(await above.call.end).toMatchObject({ kind: 'result' });
    expect(await below.call.end).toMatchObject({ kind: 'result' });
  },
);

describe('a chain over several gates', () => {
  const keys = { a: generateSigningKey(), b: generateSigningKey(), c: generateSigningKey() };
  const cnf = { jkt: PROOF_KEY };

  proves('G12', 'is stopped at all of them, whichever revokes it', async () => {
    for (const where of ['a', 'b', 'c'] as const) {
      const worlds = {
        a: await World.open({
          instance: 'a',
          key: keys.a,
          trusted: [trust('b', keys.b, true)],
          callee: () => ({ agent: 'worker', cnf, peers: [permitIssuer('b')] }),
        }),
        b: await World.open({
          instance: 'b',
          key: keys.b,
          trusted: [trust('a', keys.a), trust('c', keys.c, true)],
          callee: () => ({ agent: 'worker', cnf, peers: [permitIssuer('c')] }),
        }),
        c: await World.open({ instance: 'c', key: keys.c, trusted: [trust('b', keys.b)] }),
      };
      for (const { server } of Object.values(worlds)) server.respond = () => undefined;
      new Line(worlds.a, worlds.b);
      new Line(worlds.b, worlds.c, permitIssuer('c'));
      await settled();
      const gates = await open();
      const one = await gates.running(worlds.a, { path: '/w/1' });
      const two = await gates.running(worlds.b, { by: WORKER, token: one.token, path: '/w/2' });
      const three = await gates.running(worlds.c, { by: WORKER, token: two.token, path: '/w/3' });
      void worlds[where].enforcement.revoke('root', one.call.call);
      for (const { call } of [three, two, one]) expect(await call.end).toMatchObject({ code: 'LINEAGE_REVOKED' });
      for (const { peers, registry, defects } of Object.values(worlds)) {
        expect(registry.size).toBe(0);
        expect(defects).toEqual([]);
        peers.close();
      }
    }
  });

  proves('G11', 'ends in order where it comes back to the gate that it began at', async () => {
    const callee = (peer: string) => () => ({ agent: 'worker', cnf, peers: [permitIssuer(peer)] });
    const a = await World.open({
      instance: 'a',
      key: keys.a,
      trusted: [trust('b', keys.b, true)],
      callee: callee('b'),
    });
    const b = await World.open({ instance: 'b', key: keys.b, trusted: [trust('a', keys.a)], callee: callee('a') });
    for (const { server } of [a, b]) server.respond = () => undefined;
    new Line(a, b);
    await settled();
    const gates = await open();
    const one = await gates.running(a, { path: '/w/1' });
    const two = await gates.running(b, { by: WORKER, token: one.token, path: '/w/2' });
    const three = await gates.running(a, { by: WORKER, token: two.token, path: '/w/3' });
    one.heard.answer(resultOf('done'));
    expect(await three.call.end).toMatchObject({ code: 'LINEAGE_PARENT_ENDED' });
    expect(await two.call.end).toMatchObject({ code: 'LINEAGE_PARENT_ENDED' });
    expect(await one.call.end).toMatchObject({ kind: 'result' });
    for (const { peers, registry } of [a, b]) {
      expect(registry.size).toBe(0);
      peers.close();
    }
  });
});
