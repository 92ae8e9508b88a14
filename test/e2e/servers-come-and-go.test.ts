// Servers that never come, come late, die, or do not fit the policy, behind one gate with one that is well: that one is served throughout.

import { readFileSync } from 'node:fs';
import { afterEach, expect } from 'vitest';
import type { Entry } from '../../domain/entry.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { entriesOf } from '../support/evidence.ts';
import { neighbours } from '../support/neighbours.ts';
import { denialOf, RawHttp, RawStdio, textOf } from '../support/raw-mcp.ts';

afterEach(closeInstallations);

const serve = (at: Installation): RunningCommand => at.start(['serve', '--name', 'many', '--http', '127.0.0.1:0']);

async function client(gate: RunningCommand, server?: string): Promise<RawHttp> {
  const made = new RawHttp(await urlOf(gate, server));
  await made.initialize();
  return made;
}

async function toolsOf(client: RawHttp): Promise<string[]> {
  const { result } = await client.ask('tools/list');
  return ((result?.tools ?? []) as { name: string }[]).map(({ name }) => name);
}

async function policiesOf(at: Installation): Promise<Entry[]> {
  return (await entriesOf(at.ledger('many'))).filter(({ type }) => type === 'policy.installed');
}

/** The ledger is whole, and every decision in it is made again under the policy that was in force then. */
async function holds(at: Installation): Promise<void> {
  expect(await at.audit(['verify', at.ledger('many')])).toMatchObject({ code: 0 });
  const replayed = await at.audit(['replay', at.ledger('many'), '--json']);
  expect(replayed.stderr).toBe('');
  expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true, decisionsNotReplayable: 0, open: 0 });
}

proves(
  'G4',
  'a server is served while others are silent, dead or late, and a late one is served as soon as it comes',
  async () => {
    const at = neighbours({
      servers: {
        well: {},
        silent: { flags: ['--silent'] },
        dies: { flags: ['--dies'] },
        late: { flags: ['--late=3000'] },
      },
    });
    const gate = serve(at);
    const agent = await client(gate);
    expect(await toolsOf(agent)).toEqual(expect.arrayContaining(['well__echo', 'dies__echo']));
    expect(await toolsOf(agent)).not.toContain('late__echo');
    await gate.says('open: 2 server(s); not there: silent, late');
    for (const absent of ['silent__echo', 'late__echo']) {
      const reply = await agent.call(absent, {});
      expect(denialOf(reply)).toBe('SERVER_UNAVAILABLE');
      expect(textOf(reply)).toContain('It can be tried again later');
    }
    expect(denialOf(await agent.call('dies__echo', {}))).toBe('TOOL_LOST');

    // Without a pause, so that calls are on their way when the policy changes.
    let late = false;
    const texts: string[] = [];
    const stream = async (): Promise<void> => {
      while (!late) texts.push(textOf(await agent.call('well__echo', { text: 'still there' })));
    };
    const streams = [stream(), stream(), stream(), stream()];
    while (textOf(await agent.call('late__echo', { text: 'here' })) !== 'late: here')
      await new Promise((resolve) => setTimeout(resolve, 50));
    late = true;
    await Promise.all(streams);
    expect(texts.length).toBeGreaterThan(streams.length);
    expect([...new Set(texts)]).toEqual(['well: still there']);
    expect(await toolsOf(agent)).toContain('late__echo');

    expect((await policiesOf(at)).map(({ version }) => version)).toEqual([1, 2]);
    expect((await gate.stop()).code).toBe(0);
    await holds(at);
  },
  60_000,
);

proves(
  'G1',
  'a server that comes back as it was needs no new policy, and what was in flight is not run again',
  async () => {
    const at = neighbours({ servers: { well: {}, weak: {} } });
    const gate = serve(at);
    const agent = await client(gate);
    expect(denialOf(await agent.call('weak__die', {}))).toBe('TOOL_LOST');
    expect(textOf(await agent.call('well__echo', { text: 'on' }))).toBe('well: on');
    while (textOf(await agent.call('weak__count', {})) === '') await new Promise((resolve) => setTimeout(resolve, 50));
    const heard = readFileSync(at.path('weak.jsonl'), 'utf8').split('\n');
    expect(heard.filter((line) => line.includes('"name":"die"'))).toHaveLength(1);
    expect(await policiesOf(at)).toHaveLength(1);
    await gate.stop();
    await holds(at);
  },
  60_000,
);

proves(
  'G4',
  'a server whose tools do not fit the policy is left out and named; the others are served',
  async () => {
    const at = neighbours({ servers: { well: {}, odd: {} }, groups: { both: ['well/echo', 'odd/nothing'] } });
    const gate = serve(at);
    const agent = await client(gate);
    expect(textOf(await agent.call('well__echo', { text: 'on' }))).toBe('well: on');
    expect(denialOf(await agent.call('odd__echo', {}))).toBe('SERVER_UNAVAILABLE');
    expect((await toolsOf(agent)).filter((name) => name.startsWith('odd'))).toEqual([]);
    await gate.says(/server odd is not available[\s\S]*the server "odd" has no tool "nothing"/);
    await gate.says('open: 1 server(s); not there: odd');
    await gate.stop();
    await holds(at);
  },
  60_000,
);

proves(
  'G4',
  'a policy that is invalid by itself shuts everything, however many servers are there',
  async () => {
    const rules = '@id("all") @reason("a word is missing")\npermit (principal, action);\n';
    const at = neighbours({ servers: { one: {}, two: {}, three: { flags: ['--silent'] } }, rules });
    const gate = serve(at);
    const agent = await client(gate);
    expect(denialOf(await agent.call('one__echo', {}))).toBe('GOV_POLICY_INVALID');
    expect(denialOf(await agent.call('three__echo', {}))).toBe('GOV_POLICY_INVALID');
    await gate.says('the policy is not valid, so every call is denied');
    await gate.stop();
    expect(await policiesOf(at)).toEqual([]);
  },
  60_000,
);

proves(
  'G9',
  'a forbidden server, one that does not exist and one that is not there are the same to a client that may not know of them',
  async () => {
    const rules =
      '@id("well") @reason("only this one")\npermit (principal, action, resource == Portcullis::Server::"well");\n';
    const at = neighbours({ servers: { well: {}, forbidden: {}, silent: { flags: ['--silent'] } }, rules });
    const gate = serve(at);
    const replies: string[] = [];
    for (const server of ['forbidden', 'silent', 'nowhere']) {
      const agent = new RawHttp(await urlOf(gate, server));
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '0' } };
      const first = await agent.post(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }));
      agent.headers['mcp-session-id'] = first.headers.get('mcp-session-id') ?? '';
      const asked = [
        await agent.ask('tools/list'),
        await agent.ask('prompts/list'),
        await agent.ask('resources/list'),
        await agent.call('echo', {}),
        await agent.ask('prompts/get', { name: 'greet' }),
        await agent.ask('resources/read', { uri: 'note://same' }),
        await agent.ask('completion/complete', { ref: { type: 'ref/prompt', name: 'greet' }, argument: {} }),
      ];
      replies.push(JSON.stringify([first.status, first.messages, asked]).replaceAll(server, 'SERVER'));
    }
    expect(replies[1]).toBe(replies[0]);
    expect(replies[2]).toBe(replies[0]);
    const all = await client(gate);
    const missing = [
      await all.call('forbidden__echo', {}),
      await all.call('silent__echo', {}),
      await all.call('nowhere__echo', {}),
    ];
    expect(missing.map(({ error }) => error?.code)).toEqual([-32602, -32602, -32602]);
    await gate.stop();
  },
  60_000,
);

proves(
  'G9',
  'a client hears that a server came, and only if it may know of it',
  async () => {
    const rules =
      '@id("well") @reason("all but the secret")\npermit (principal, action, resource) unless { resource == Portcullis::Server::"secret" };\n@id("secret") @reason("nobody")\nforbid (principal, action, resource == Portcullis::Server::"secret");\n';
    const at = neighbours({
      servers: { well: {}, secret: { flags: ['--late=1000'] }, late: { flags: ['--late=2500'] } },
      rules,
    });
    const gate = at.start(['serve', '--name', 'many', '--stdio']);
    const agent = new RawStdio(gate);
    await agent.initialize();
    await agent.ask('tools/list');
    expect(denialOf(await agent.call('late__echo', {}))).toBe('SERVER_UNAVAILABLE');
    expect(denialOf(await agent.call('secret__echo', {}))).toBeUndefined();
    while (textOf(await agent.call('late__echo', { text: 'here' })) !== 'late: here')
      await new Promise((resolve) => setTimeout(resolve, 50));
    await gate.until(() => agent.notifications.length > 0);
    // One for the server that was there, if the client was as quick as it, and one for the late one.
    expect(agent.notifications.length).toBeLessThanOrEqual(2);
    for (const notification of agent.notifications)
      expect(notification).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    expect(await policiesOf(at)).toHaveLength(3);
    await gate.stop();
    await holds(at);
  },
  60_000,
);
