// Functions of a program behind a real gate: what is refused before they run, what becomes of whatever they do, and what the ledger says of it.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Denied } from '../../adapters/tools/denied.ts';
import { type Governed, govern } from '../../adapters/tools/govern.ts';
import { ToolFailed } from '../../adapters/tools/tool-failed.ts';
import { type CallContext, tool } from '../../adapters/tools/tool-function.ts';
import { replayLedger } from '../../cli/commands/replay.ts';
import { verify } from '../../cli/commands/verify.ts';
import { EXIT } from '../../cli/exit-codes.ts';
import { output } from '../../cli/output.ts';
import { DENIALS } from '../../domain/denial.ts';
import { proves } from '../guarantees.ts';
import { PORTCULLIS } from '../support/cli.ts';
import { entriesOf } from '../support/evidence.ts';
import { closePrograms, type OpenedProgram, openProgram, type ProgramOptions } from '../support/program-gate.ts';

const SILENT = { write: () => true };
const RULES = `@id("notes") @reason("the planner may use its notes")
permit (principal == Portcullis::Agent::"planner", action in Portcullis::Action::"open", resource);
`;
const MANIFEST: ProgramOptions['manifest'] = {
  agents: {
    planner: { auth: 'local' },
    stranger: { auth: 'local' },
    remote: { auth: { apiKey: `sha256:${'A'.repeat(43)}` } },
  },
  // What was stopped is called again here; that nobody does so unasked has tests of its own.
  servers: {
    notes: { inProcess: {}, limits: { timeoutMs: 2_000, outputBytes: 4_096 }, retryAfterUnknown: 'allow' },
  },
  groups: { open: ['read', 'give', 'wait', 'nothing', 'checked', 'refine'].map((name) => `notes/${name}`) },
};

const ran: string[] = [];
/** What `give` does next. */
let gives: (context: CallContext) => unknown = () => 'nothing yet';
const given = z.object({ path: z.string(), line: z.number().int().min(1).default(1) });
const functions = {
  read: tool({
    description: 'reads a note',
    inputSchema: given,
    execute: async ({ path, line }, { call }) => {
      ran.push(path);
      return { path, line, call };
    },
  }),
  forbidden: tool({
    description: 'nobody may',
    inputSchema: given,
    execute: () => {
      ran.push('forbidden');
      return 'done';
    },
  }),
  give: tool({
    description: 'gives what the test says',
    inputSchema: { type: 'object', properties: {} },
    execute: (_: Record<string, never>, context) => gives(context),
  }),
  wait: tool({
    description: 'waits until it is told to stop, or longer',
    inputSchema: z.object({ heeds: z.boolean() }),
    execute: ({ heeds }, { signal }) =>
      new Promise<string>((resolve) => {
        signal.addEventListener('abort', () => {
          ran.push(`told: ${String((signal.reason as Error).message)}`);
          if (heeds) resolve('stopped');
        });
      }),
  }),
  nothing: tool({ description: 'says nothing', inputSchema: { type: 'object' }, execute: () => {} }),
  checked: tool({
    description: 'promises a number',
    inputSchema: { type: 'object' },
    outputSchema: { $ref: '#/$defs/count', $defs: { count: { type: 'integer' } } },
    execute: () => gives as unknown,
  }),
  refine: tool({
    description: 'takes even numbers',
    inputSchema: z.object({ n: z.number().refine((n) => n % 2 === 0, 'not even') }),
    execute: ({ n }) => {
      ran.push(`even ${n}`);
      return n / 2;
    },
  }),
};
let program: OpenedProgram;
let planner: Governed<typeof functions>;

/** What a promise was refused with. */
async function refused(promise: Promise<unknown>): Promise<Denied> {
  const error = await promise.then(
    (value) => new Error(`it yielded ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof Denied)) throw error;
  return error;
}

beforeAll(async () => {
  program = await openProgram({ manifest: MANIFEST, rules: RULES });
  planner = govern(functions, program.gate, { agent: 'planner', server: 'notes' });
  await program.gate.ready();
});

afterAll(closePrograms);

describe('a governed function does not run', () => {
  proves('G4', 'where no rule allows it, and looks like one that does not exist', async () => {
    const forbidden = await refused(planner.tools.forbidden({ path: 'x' }));
    const missing = await refused(planner.agent.call('notes__missing', { path: 'x' }));
    const elsewhere = await refused(planner.agent.call('nowhere__read', { path: 'x' }));
    const unqualified = await refused(planner.agent.call('read', { path: 'x' }));
    const texts = [forbidden, missing, elsewhere, unqualified].map(({ message, call }) => message.replace(call, 'ID'));
    expect(new Set(texts).size).toBe(1);
    expect(forbidden).toMatchObject({ code: 'TOOL_UNKNOWN', executed: 'no', recorded: true, retry: false });
    expect(ran).toEqual([]);
    expect(await program.callOf(forbidden.call)).toMatchObject({
      code: 'TOOL_UNKNOWN',
      agent: 'planner',
      intent: undefined,
    });
  });

  proves('G9', 'for whoever is not told of it either', async () => {
    const names = (await planner.agent.definitions()).map(({ name }) => name);
    expect(names).toEqual(['read', 'give', 'wait', 'nothing', 'checked', 'refine'].map((name) => `notes__${name}`));
  });

  const cyclic: Record<string, unknown> = {};
  cyclic.path = cyclic;
  it.each<[string, unknown, string]>([
    ['a missing argument', {}, 'ARG_INVALID'],
    ['an argument of another type', { path: 1 }, 'ARG_INVALID'],
    ['an argument too many', { path: 'x', admin: true }, 'ARG_INVALID'],
    ['a number out of range', { path: 'x', line: 0 }, 'ARG_INVALID'],
    ['arguments that are no object', ['x'], 'ARG_INVALID'],
    ['null', null, 'ARG_INVALID'],
    ['a BigInt', { path: 1n }, 'ARG_NOT_REPRESENTABLE'],
    ['a function', { path: () => 'x' }, 'ARG_NOT_REPRESENTABLE'],
    ['a Date', { path: new Date(0) }, 'ARG_NOT_REPRESENTABLE'],
    ['a circle', cyclic, 'ARG_NOT_REPRESENTABLE'],
    ['half of a surrogate pair', { path: '\ud800' }, 'ARG_NOT_REPRESENTABLE'],
    ['a member named __proto__', JSON.parse('{"path":"x","__proto__":{"admin":true}}'), 'ARG_NOT_REPRESENTABLE'],
    [
      'a getter that throws',
      Object.defineProperty({}, 'path', {
        enumerable: true,
        get: () => {
          throw new Error('no');
        },
      }),
      'ARG_NOT_REPRESENTABLE',
    ],
    ['five megabytes', { path: 'x'.repeat(5_000_000) }, 'MESSAGE_TOO_LARGE'],
  ])('with %s', async (_, args, code) => {
    const denied = await refused(planner.agent.call('notes__read', args));
    expect(denied).toMatchObject({ code, executed: 'no', recorded: true });
    expect(ran).toEqual([]);
    expect((await program.callOf(denied.call)).code).toBe(code);
  });

  it('where its own schema says more than JSON Schema can, and that is the answer of the tool', async () => {
    await expect(planner.tools.refine({ n: 3 })).rejects.toThrow('The arguments are not valid: n: not even');
    await expect(planner.tools.refine({ n: 4 })).resolves.toBe(2);
    expect(ran.splice(0)).toEqual(['even 4']);
  });

  it('once its call was cancelled', async () => {
    const denied = await refused(planner.tools.read({ path: 'x' }, { signal: AbortSignal.abort() }));
    expect(denied).toMatchObject({ code: 'CANCELLED', executed: 'no', recorded: true });
  });

  it('more often than calls fit', async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 300 }, (_, line) => planner.tools.read({ path: 'many', line: line + 1 })),
    );
    const codes = all.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Denied).code] : []));
    expect(codes).toEqual(Array(44).fill('OVERLOADED'));
    expect(ran.splice(0)).toHaveLength(256);
  });
});

describe('a governed function that runs', () => {
  proves('G1', 'has a permit and an intent that is on disk before it begins', async () => {
    let before: unknown;
    gives = async ({ call }) => {
      const entries = await entriesOf(program.gate.ledger);
      const [intent, ...more] = entries.filter((entry) => entry.call === call);
      const said = (intent?.events ?? []) as readonly { readonly type: string }[];
      before = { type: intent?.type, said: said.map(({ type }) => type), more };
      return 'looked';
    };
    await expect(planner.tools.give({})).resolves.toBe('looked');
    expect(before).toEqual({
      type: 'call.intent',
      said: ['call.requested', 'decision.allowed', 'permit.verified'],
      more: [],
    });
  });

  proves('G2', 'gets what was permitted, whatever its caller does to the object meanwhile', async () => {
    const args = { path: 'mine', line: 2 };
    const answer = planner.tools.read(args);
    args.path = 'yours';
    const { call, ...value } = await answer;
    expect(value).toEqual({ path: 'mine', line: 2 });
    expect(await program.callOf(call)).toMatchObject({
      tool: 'read',
      args: { path: 'mine', line: 2 },
      status: 'completed',
    });
    expect(ran.splice(0)).toEqual(['mine']);
  });

  it('is the one that was given, whatever becomes of the object that it came in', async () => {
    const { execute } = functions.read;
    Object.assign(functions.read, { execute: () => ran.push('another') });
    await expect(planner.tools.read({ path: 'x' })).resolves.toMatchObject({ path: 'x', line: 1 });
    Object.assign(functions.read, { execute });
    expect(ran.splice(0)).toEqual(['x']);
  });

  proves('G6', 'ends in exactly one ending', async () => {
    for (const { endings } of await program.calls()) expect(endings).toHaveLength(1);
  });
});

describe('what a governed function returns', () => {
  it.each<[string, unknown]>([
    ['text', 'text'],
    ['no text', ''],
    ['null', null],
    ['a number', -1.5],
    [
      'an object that looks like an answer',
      { result: 1, content: [], isError: true, _meta: { 'dev.portcullis/denial': {} } },
    ],
    ['a list', [1, [2, { three: '3' }]]],
    ['nothing', undefined],
  ])('is released as it is: %s', async (_, value) => {
    gives = () => value;
    await expect(planner.tools.give({})).resolves.toEqual(value);
  });

  it('loses members that are undefined, which JSON has no word for', async () => {
    gives = async () => ({ a: 1, b: undefined });
    await expect(planner.tools.give({})).resolves.toStrictEqual({ a: 1 });
  });

  /** Not a promise, as far as anybody can tell, and nothing else either. */
  const unreadable = (): unknown =>
    new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('no');
        },
      },
    );

  class Account {
    readonly owner = 'me';
  }
  const loop: unknown[] = [];
  loop.push(loop);
  it.each<[string, () => unknown, string]>([
    ['a BigInt', () => 1n, 'OUTPUT_INVALID'],
    ['a circle', () => loop, 'OUTPUT_INVALID'],
    ['a Date', () => new Date(), 'OUTPUT_INVALID'],
    ['an object of a class', () => new Account(), 'OUTPUT_INVALID'],
    ['a Map', () => new Map([[1, 2]]), 'OUTPUT_INVALID'],
    ['not a number', () => ({ n: Number.NaN }), 'OUTPUT_INVALID'],
    ['a symbol', () => Symbol('x'), 'OUTPUT_INVALID'],
    ['a function', () => () => 'x', 'OUTPUT_INVALID'],
    ['nothing in a list', () => [undefined], 'OUTPUT_INVALID'],
    ['an endless list', () => new Array(2 ** 32 - 1), 'OUTPUT_INVALID'],
    [
      'a stream',
      async function* () {
        yield 1;
      },
      'OUTPUT_INVALID',
    ],
    ['a proxy that is not there any more', () => unreadable(), 'OUTPUT_INVALID'],
    ['a hundred megabytes', () => 'x'.repeat(100_000_000), 'OUTPUT_TOO_LARGE'],
    ['a hundred megabytes in pieces', () => Array(100_000).fill('x'.repeat(1_000)), 'OUTPUT_TOO_LARGE'],
    ['one byte too many', () => 'ä'.repeat(2_035), 'OUTPUT_TOO_LARGE'],
    [
      'an error of a hundred megabytes',
      () => {
        throw new Error('x'.repeat(100_000_000));
      },
      'OUTPUT_TOO_LARGE',
    ],
  ])('is withheld when it is %s', async (_, value, code) => {
    gives = value;
    const denied = await refused(planner.tools.give({}));
    expect(denied).toMatchObject({ code, executed: 'yes', recorded: true });
    expect(await program.callOf(denied.call)).toMatchObject({ code, status: 'withheld' });
  });

  it('is withheld when it is not what its definition says', async () => {
    const { execute: _, ...promise } = functions.checked;
    const counted = await openProgram({
      manifest: { ...MANIFEST, groups: { open: ['notes/checked'] } },
      rules: RULES,
      name: 'counted',
    });
    let value: unknown = 'three';
    const { tools } = govern({ checked: tool({ ...promise, execute: () => value }) }, counted.gate, {
      agent: 'planner',
      server: 'notes',
    });
    await counted.gate.ready();
    const denied = await refused(tools.checked({}));
    expect(denied).toMatchObject({ code: 'OUTPUT_INVALID', executed: 'yes' });
    value = undefined;
    expect((await refused(tools.checked({}))).code).toBe('OUTPUT_INVALID');
    value = 3;
    await expect(tools.checked({})).resolves.toBe(3);
  });
});

describe('a governed function that fails', () => {
  it.each<[string, () => unknown, string]>([
    [
      'an error',
      () => {
        throw new RangeError('too far');
      },
      'RangeError: too far',
    ],
    ['a rejection', () => Promise.reject(new Error('later')), 'later'],
    [
      'text',
      () => {
        throw 'just text';
      },
      'just text',
    ],
    [
      'nothing',
      () => {
        throw undefined;
      },
      'undefined',
    ],
    [
      'something that cannot be read',
      () => {
        throw {
          toString: () => {
            throw new Error('no');
          },
        };
      },
      'it threw something that cannot be read',
    ],
    [
      'half of a surrogate pair',
      () => {
        throw new Error('\ud800');
      },
      '\ufffd',
    ],
    [
      'an error whose message is none',
      () => {
        throw Object.assign(new Error('x'), { message: 42 });
      },
      '42',
    ],
    [
      'an error whose message is a symbol',
      () => {
        throw Object.assign(new Error('x'), { message: Symbol('s'), name: Symbol('n') });
      },
      'Symbol(n): Symbol(s)',
    ],
    [
      'an error that cannot be read',
      () => {
        throw Object.defineProperty(new Error('x'), 'message', {
          get: () => {
            throw new Error('no');
          },
        });
      },
      'it threw something that cannot be read',
    ],
    [
      'a failure of another realm',
      () => {
        throw runInNewContext('new TypeError("elsewhere")');
      },
      'TypeError: elsewhere',
    ],
    [
      'a promise that cannot be read',
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      },
      "TypeError: Cannot perform 'get' on a proxy that has been revoked",
    ],
  ])('says so to its caller and to the ledger: %s', async (_, fails, message) => {
    gives = fails;
    const failure = await planner.tools.give({}).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ToolFailed);
    expect((failure as ToolFailed).message).toBe(message);
    expect(await program.callOf((failure as ToolFailed).call)).toMatchObject({ status: 'errored' });
  });

  it('does not give its error away, which may hold more than its message', async () => {
    gives = () => {
      throw Object.assign(new Error('short'), { secret: 'value', cause: { secret: 'value' } });
    };
    const failure = await planner.tools.give({}).catch((error: unknown) => error);
    expect(JSON.stringify(failure)).not.toContain('value');
    expect((failure as Error).cause).toBeUndefined();
  });
});

describe('a governed function that does not end', () => {
  it.each([
    ['and heeds it', true],
    ['and goes on', false],
  ])('is told when its time is over %s; nothing of it comes later', async (_, heeds) => {
    const denied = await refused(planner.tools.wait({ heeds }));
    expect(denied).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'perhaps', recorded: true });
    expect(ran.splice(0)).toEqual(['told: DEADLINE_EXCEEDED']);
    expect(await program.callOf(denied.call)).toMatchObject({ status: 'timed_out' });
  });

  it.each([true, false])(
    'is told when its caller gives up; what it says then is withheld (heeds: %s)',
    async (heeds) => {
      const giveUp = new AbortController();
      const began = new Promise<void>((resolve) => {
        gives = ({ signal }) => {
          resolve();
          return new Promise((answer) =>
            signal.addEventListener('abort', () => {
              if (heeds) answer('late');
            }),
          );
        };
      });
      const waiting = refused(planner.tools.give({}, { signal: giveUp.signal }));
      await began;
      giveUp.abort();
      const denied = await waiting;
      expect(denied).toMatchObject({ code: 'CANCELLED', executed: 'perhaps' });
      expect(await program.callOf(denied.call)).toMatchObject({ code: 'CANCELLED', status: 'aborted' });
    },
  );

  proves('G12', 'is stopped by a revocation while it runs, and its late answer goes nowhere', async () => {
    let late: (value: string) => void = () => {};
    let stopped = '';
    const began = new Promise<string>((resolve) => {
      gives = ({ call, signal }) => {
        signal.addEventListener('abort', () => {
          stopped = (signal.reason as Error).message;
        });
        resolve(call);
        return new Promise((answer) => {
          late = answer;
        });
      };
    });
    const waiting = refused(planner.tools.give({}));
    const call = await began;
    await expect(program.gate.revoke('execution', call)).resolves.toBe(1);
    const denied = await waiting;
    late('too late');
    expect(denied).toMatchObject({ code: 'LINEAGE_REVOKED', executed: 'perhaps', call });
    expect(stopped).toBe('LINEAGE_REVOKED');
    expect(await program.callOf(call)).toMatchObject({ code: 'LINEAGE_REVOKED', endings: [{ type: 'call.ending' }] });
  });
});

describe('an operator', () => {
  const command = async (...args: readonly string[]): Promise<string> => {
    const env = { PATH: process.env.PATH, PORTCULLIS_HOME: program.home };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [PORTCULLIS, ...args], { env });
    return stdout + stderr;
  };

  proves('G12', 'revokes a call of a program at the command line, and halts it', async () => {
    const began = new Promise<string>((resolve) => {
      gives = ({ call }) => {
        resolve(call);
        return new Promise(() => {});
      };
    });
    const waiting = refused(planner.tools.give({}));
    await command('revoke', 'execution', await began);
    expect(await waiting).toMatchObject({ code: 'LINEAGE_REVOKED', executed: 'perhaps' });
    expect(await command('lineage', (await waiting).call)).toContain('LINEAGE_REVOKED');
    await command('halt');
    expect(await refused(planner.tools.nothing({}))).toMatchObject({ code: 'GOV_HALTED', recorded: true });
    await command('resume');
    await expect(planner.tools.nothing({})).resolves.toBeUndefined();
  });
});

describe('a gate', () => {
  it('that is halted lets nothing run until it goes on', async () => {
    await program.gate.halt('test');
    expect(await refused(planner.tools.nothing({}))).toMatchObject({ code: 'GOV_HALTED', recorded: true, retry: true });
    await program.gate.resume();
    await expect(planner.tools.nothing({})).resolves.toBeUndefined();
  });

  it('that is not ready is waited for, and denies while it cannot decide', async () => {
    const other = await openProgram({
      manifest: { ...MANIFEST, groups: { open: ['notes/absent'] } },
      rules: RULES,
      name: 'unfit',
    });
    const { tools } = govern({ nothing: functions.nothing }, other.gate, { agent: 'planner', server: 'notes' });
    const denied = await refused(tools.nothing({}));
    expect(denied).toMatchObject({ code: 'GOV_POLICY_INVALID', recorded: true });
    await expect(other.gate.ready()).rejects.toThrow(/GOV_POLICY_INVALID/);
    expect(other.notes.join('\n')).toContain('has no tool "absent"');
  });

  it('remembers what functions were, and says where they are something else when it is opened again', async () => {
    const again = async (description: string) => {
      const other = await openProgram({
        manifest: { ...MANIFEST, groups: { open: ['notes/nothing'] } },
        rules: RULES,
        name: 'again',
        home: program.home,
      });
      const nothing = { ...functions.nothing, description };
      const { tools } = govern({ nothing }, other.gate, { agent: 'planner', server: 'notes' });
      await expect(tools.nothing({})).resolves.toBeUndefined();
      await other.gate.close();
      return { said: other.notes.filter((note) => note.includes('last run')), ledger: other.gate.ledger };
    };
    expect((await again('says nothing')).said).toEqual([]);
    expect((await again('says nothing')).said).toEqual([]);
    const { said, ledger } = await again('says everything');
    expect(said).toEqual(['notes: it is not what it was in the last run: tools changed: nothing']);
    const out = output(false, { stdout: SILENT, stderr: SILENT });
    expect(await verify(ledger, {}, out)).toBe(EXIT.ok);
    expect(await replayLedger(ledger, {}, out)).toBe(EXIT.ok);
  });

  it('gives turns to functions too: none is begun while another has the only one, not even by that one', async () => {
    const limits = { timeoutMs: 900, concurrency: 1 };
    const other = await openProgram({
      manifest: {
        ...MANIFEST,
        servers: { notes: { inProcess: {}, limits } },
        groups: { open: ['notes/give', 'notes/nothing'] },
      },
      rules: RULES,
      name: 'turns',
    });
    const { give, nothing } = functions;
    const { tools } = govern({ give, nothing }, other.gate, { agent: 'planner', server: 'notes' });
    await other.gate.ready();
    let running = 0;
    let most = 0;
    gives = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running -= 1;
    };
    await Promise.all(Array.from({ length: 5 }, () => tools.give({})));
    expect(most).toBe(1);
    let inner = '';
    gives = async (context) => {
      inner = (await refused(context.agent.call('notes__nothing', {}))).code;
    };
    await refused(tools.give({})).catch(() => undefined);
    await expect.poll(() => inner).toMatch(/DEADLINE_EXCEEDED|LINEAGE_PARENT_ENDED/);
    gives = () => 'free again';
    await expect(tools.give({})).resolves.toBe('free again');
  });

  it('knows its function also behind another gate: what calls back from there is no beginning', async () => {
    const other = await openProgram({
      manifest: { ...MANIFEST, groups: { open: ['notes/back'] } },
      rules: RULES,
      name: 'behind',
    });
    let code = '';
    const back = tool({
      description: 'calls back',
      inputSchema: { type: 'object' },
      execute: async () => {
        code = (await refused(planner.tools.nothing({}))).code;
      },
    });
    const behind = govern({ back }, other.gate, { agent: 'planner', server: 'notes' });
    await other.gate.ready();
    gives = () => behind.tools.back({});
    await planner.tools.give({});
    expect(code).toBe('LINEAGE_MISSING');
  });

  it('of a name that is open already has a ledger of its own', async () => {
    const other = await openProgram({ manifest: MANIFEST, rules: RULES, home: program.home });
    expect(other.gate.ledger).toBe(program.gate.ledger.replace('program', 'program.2'));
    await other.gate.close();
  });

  it('takes calls at once: they wait until it is open', async () => {
    const other = await openProgram({
      manifest: { ...MANIFEST, groups: { open: ['notes/nothing'] } },
      rules: RULES,
      name: 'eager',
    });
    const { tools } = govern({ nothing: functions.nothing }, other.gate, { agent: 'planner', server: 'notes' });
    await expect(tools.nothing({})).resolves.toBeUndefined();
  });

  it('that is closed refuses, and cancels what runs', async () => {
    const other = await openProgram({
      manifest: { ...MANIFEST, groups: { open: ['notes/wait', 'notes/nothing'] } },
      rules: RULES,
      name: 'closing',
    });
    const { wait, nothing } = functions;
    const { tools, agent } = govern({ wait, nothing }, other.gate, { agent: 'planner', server: 'notes' });
    await other.gate.ready();
    const running = refused(tools.wait({ heeds: true }));
    await tools.nothing({});
    const closing = other.gate.close();
    expect(await refused(tools.nothing({}))).toMatchObject({ code: 'GOV_HALTED', recorded: false, executed: 'no' });
    expect(await running).toMatchObject({ code: 'CANCELLED', executed: 'perhaps', recorded: true });
    await closing;
    await other.gate.close();
    expect(await refused(tools.nothing({}))).toMatchObject({ code: 'GOV_HALTED', recorded: false });
    expect(await agent.definitions()).toEqual([]);
    expect(ran.splice(0)).toEqual(['told: CANCELLED']);
    const { endings } = await other.callOf((await running).call);
    expect(endings).toHaveLength(1);
  });

  it('shares functions with another one, and nothing else', async () => {
    const other = await openProgram({
      manifest: { ...MANIFEST, groups: { open: ['notes/nothing'] } },
      rules: RULES,
      name: 'second',
    });
    const second = govern({ read: functions.read, nothing: functions.nothing }, other.gate, {
      agent: 'planner',
      server: 'notes',
    });
    await other.gate.ready();
    expect((await refused(second.tools.read({ path: 'x' }))).code).toBe('TOOL_UNKNOWN');
    await expect(planner.tools.read({ path: 'x' })).resolves.toMatchObject({ path: 'x' });
    expect(ran.splice(0)).toEqual(['x']);
    // A function of one gate that calls by the agent of another begins a chain there: they know nothing of each other.
    gives = () => second.tools.nothing({});
    await expect(planner.tools.give({})).resolves.toBeUndefined();
    expect((await other.calls()).filter(({ status }) => status === 'completed')).toHaveLength(1);
  });

  it.each<[string, () => unknown, string]>([
    [
      'a server that it does not have',
      () => govern(functions, program.gate, { agent: 'planner', server: 'other' }),
      'no server "other"',
    ],
    [
      'a server that has its functions',
      () => govern(functions, program.gate, { agent: 'planner', server: 'notes' }),
      'has its functions already',
    ],
    [
      'an agent that it does not have',
      () => govern(functions, program.gate, { agent: 'nobody', server: 'notes' }),
      'no agent "nobody"',
    ],
    [
      'an agent that is somewhere else',
      () => govern(functions, program.gate, { agent: 'remote', server: 'notes' }),
      'no agent "remote"',
    ],
    ['no functions', () => govern({}, program.gate, { agent: 'planner', server: 'notes' }), '1 to 2000 functions'],
  ])('refuses %s', (_, wrong, message) => {
    expect(wrong).toThrow(message);
  });
});

describe('the ledger of a program', () => {
  proves('G5', 'verifies and replays like any other', async () => {
    const out = output(false, { stdout: SILENT, stderr: SILENT });
    await program.gate.close();
    expect(await verify(program.gate.ledger, {}, out)).toBe(EXIT.ok);
    expect(await replayLedger(program.gate.ledger, {}, out)).toBe(EXIT.ok);
    const codes = new Set((await program.calls()).flatMap(({ code }) => code ?? []));
    for (const code of codes) expect(Object.keys(DENIALS)).toContain(code);
    expect(join(program.home, 'state', 'gates', 'program', 'ledger')).toBe(program.gate.ledger);
  });
});
