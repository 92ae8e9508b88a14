// What lineage costs without a gate around it: tokens, and the registry while it holds few and many executions. Every figure stands beside a bare
// Ed25519 verification of the same run.

import { generateSigningKey, randomBytes, sha256, verifyEd25519 } from '../adapters/crypto/node-crypto.ts';
import { GenuineTokens } from '../control-plane/lineage/genuine-tokens.ts';
import { LINEAGE_LIMITS } from '../control-plane/lineage/limits.ts';
import type { Joining } from '../control-plane/lineage/place.ts';
import { LineageRegistry } from '../control-plane/lineage/registry.ts';
import { checkLineageToken, mintLineageToken, type TokenReader } from '../control-plane/lineage/token.ts';
import type { Digest } from '../domain/digest.ts';
import { type CallId, ulid } from '../domain/ids.ts';
import type { LineageTokenClaims } from '../domain/lineage-token.ts';
import type { Scope } from '../domain/scope.ts';
import { median } from './quantile.ts';

const ROUNDS = 9;
const LIVE = 10_000;
const DEPTHS = [0, 1, 3, 8] as const;
const DIGEST: Digest = 'sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const SCOPE: Scope = [{ server: 's', actions: ['t'], under: { '/path': ['/srv/ws'] } }];
const ARGS = { path: '/srv/ws/a/b.txt' };

export interface Figure {
  readonly what: string;
  readonly micros: number;
  readonly times: number;
}

/** CPU of this process, so that a busy machine is not counted. */
function microsUsed(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** The median of the rounds, each of them so many runs of the same. */
function microsOf(runs: number, work: () => void): number {
  const rounds = Array.from({ length: ROUNDS }, () =>
    microsUsed(() => {
      for (let nth = 0; nth < runs; nth += 1) work();
    }),
  );
  return median(rounds) / runs;
}

/** The median of single runs, each of something made for it that is then used up. */
function microsOfEach<T>(runs: number, make: () => T, work: (made: T) => void): number {
  const taken = Array.from({ length: runs }, () => {
    const made = make();
    return microsUsed(() => work(made));
  });
  return median(taken);
}

/** Made beforehand: an id costs about as much as an admission. */
const ids = Array.from({ length: 600_000 }, (_, nth) => ulid(1_795_000_000_000 + nth, new Uint8Array(10)));
const callId = (): CallId => ids.pop() ?? ulid(1_795_000_000_000, randomBytes(10));

/** A registry without revocations, with room for a tree of any size. */
class House {
  readonly registry = new LineageRegistry({
    revocations: { has: () => false },
    peers: { state: () => 'unknown' },
    limits: { ...LINEAGE_LIMITS, childrenMax: 1_000_000, treeMax: 1_000_000, depthMax: 16, visitsMax: 100 },
  });

  join(under: CallId | undefined, root: CallId | undefined, process?: string): CallId {
    const call = callId();
    const joining: Joining = {
      call,
      agent: under === undefined ? 'planner' : 'worker',
      terms: { root: true, unsaid: 'root', scope: SCOPE },
      target: { server: 's', method: 'tools/call', tool: 't', args: ARGS },
      step: () => `sha256:${call}` as Digest,
      link: () => DIGEST,
      now: 0,
      timeoutMs: 30_000,
      ...(under === undefined || root === undefined
        ? {}
        : { presented: { from: 'self', root, node: under, digest: DIGEST } }),
      ...(process === undefined ? {} : { process }),
    };
    const place = this.registry.join(joining);
    if ('code' in place) throw new Error(place.code);
    return call;
  }

  /** `process`: the one that carries it out. */
  start(call: CallId, process?: string): CallId {
    const refused = this.registry.start(call, { now: 0, token: DIGEST, ...(process === undefined ? {} : { process }) });
    if (refused !== undefined) throw new Error(refused.code);
    return call;
  }

  /** A chain of running executions; yields its root and its last. */
  chain(length: number): { readonly root: CallId | undefined; readonly last: CallId | undefined } {
    const all: CallId[] = [];
    for (let depth = 0; depth < length; depth += 1) all.push(this.start(this.join(all.at(-1), all[0])));
    return { root: all[0], last: all.at(-1) };
  }

  /** A root with so many running under it, at most 100 under one. */
  tree(size: number): CallId {
    const root = this.start(this.join(undefined, undefined));
    const all = [root];
    for (let nth = 0; nth < size; nth += 1) {
      const above = all[Math.floor(nth / 100)] ?? root;
      all.push(this.start(this.join(above, root)));
    }
    return root;
  }
}

/** A call of a process that works on so many others, all of one chain: each of them is above it. */
function sharedProcessMicros(works: number): number {
  const house = new House();
  const root = house.start(house.join(undefined, undefined));
  const all = Array.from({ length: works }, () => house.start(house.join(root, root), 'p'));
  return microsOf(20, () => {
    house.registry.end(house.start(house.join(all[0], root, 'p')));
  });
}

export function registryFigures(progress: (text: string) => void): readonly Figure[] {
  const figures: Figure[] = [];
  const key = generateSigningKey();
  const text = randomBytes(700);
  const signature = key.sign(text);
  progress('lineage: signatures and tokens');
  const sign = microsOf(2_000, () => key.sign(text));
  const verify = microsOf(1_000, () => verifyEd25519(key.publicKey, text, signature));
  const add = (what: string, micros: number): void => {
    figures.push({ what, micros, times: micros / verify });
  };
  add('a bare Ed25519 signature', sign);
  add('a bare Ed25519 verification', verify);

  const signer = { kid: 'A'.repeat(43), sign: (bytes: Uint8Array) => key.sign(bytes), sha256 };
  const claims = claimsOf(callId());
  const { token } = mintLineageToken(claims, signer) ?? { token: '' };
  const reader: TokenReader = {
    audience: () => 'urn:bench',
    verify: (_issuer, _kid, input, made) => verifyEd25519(key.publicKey, input, made),
    sha256,
    now: 1_795_000_000_000,
    clockDriftMs: () => 0,
  };
  const bearer = { agent: 'worker', connection: DIGEST };
  add(
    'a token minted',
    microsOf(1_000, () => mintLineageToken(claims, signer)),
  );
  const checked = checkLineageToken(token, reader, bearer);
  if ('code' in checked) throw new Error(`${checked.code} ${checked.detail}`);
  add(
    'a token checked, the first time',
    microsOf(1_000, () => checkLineageToken(token, reader, bearer)),
  );
  const known = { ...reader, genuine: new GenuineTokens() };
  add(
    'a token checked, again',
    microsOf(1_000, () => checkLineageToken(token, known, bearer)),
  );

  // For the compiler.
  new House().tree(5_000);
  for (const live of [0, LIVE]) {
    progress(`lineage: admissions with ${live} executions in the registry`);
    const house = new House();
    for (let size = 0; size < live; size += 100) house.tree(99);
    const beside = live === 0 ? 'alone' : `beside ${live.toLocaleString('en')}`;
    for (const depth of DEPTHS) {
      const { root, last } = house.chain(depth);
      const whole = microsOf(500, () => {
        const call = house.start(house.join(last, root));
        house.registry.end(call);
      });
      add(`join, start and end at depth ${depth}, ${beside}`, whole);
      if (root !== undefined) house.registry.revoke('root', root);
    }
    const { root, last } = house.chain(1);
    const calls = Array.from({ length: 200 }, () => house.start(house.join(last, root)));
    add(
      `one execution revoked, ${beside}`,
      microsOfEach(
        150,
        () => calls.pop(),
        (call) => house.registry.revoke('node', call ?? ''),
      ),
    );
    const size = (n: number): string => n.toLocaleString('en');
    for (const under of live === 0 ? [1_000, 10_000] : [1_000]) {
      const revoke = microsOfEach(
        15,
        () => house.tree(under),
        (tree) => house.registry.revoke('root', tree),
      );
      add(`a root with ${size(under)} under it revoked, ${beside}`, revoke);
    }
    for (const under of live === 0 ? [1_000, 10_000] : [1_000]) {
      add(
        `a root with ${size(under)} under it ended, ${beside}`,
        microsOfEach(
          15,
          () => house.tree(under),
          (tree) => house.registry.end(tree),
        ),
      );
    }
  }
  for (const works of [1, 64, 1_000])
    add(`the same from a process that works on ${works.toLocaleString('en')}`, sharedProcessMicros(works));
  return figures;
}

function claimsOf(node: CallId): LineageTokenClaims {
  return {
    iss: 'urn:bench',
    sub: 'worker',
    aud: ['urn:bench'],
    iat: 1_794_999_990,
    exp: 1_795_000_020,
    jti: callId(),
    lin: {
      root: node,
      node,
      depth: 2,
      chain: DIGEST,
      servers: ['review', 'work', 'db'],
      agents: ['planner', 'reviewer'],
    },
    scp: [SCOPE] as unknown as LineageTokenClaims['scp'],
    cnf: { conn: DIGEST },
  };
}
