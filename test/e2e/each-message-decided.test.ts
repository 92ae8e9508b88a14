// Each kind of message between widely used clients of both eras and a widely used server, once where a rule allows it and once where a rule
// forbids just that: what is allowed arrives, what is forbidden never happens, and the ledger has both.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { referenceServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import {
  APPROVING,
  closeInstallations,
  type Installation,
  installation,
  PORTCULLIS,
  type RunningCommand,
} from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { everythingOverHttp } from '../support/everything-over-http.ts';
import { type CallEvidence, callsOf } from '../support/evidence.ts';
import { metaOf } from '../support/sdk-clients.ts';
import { serversThere } from '../support/servers-there.ts';
import { newerOverHttp, newerOverStdio, olderOverHttp, type Talkative } from '../support/talkative-clients.ts';

const SERVERS = ['stdio', 'http'] as const;

/** Everything is allowed, but of each kind of message one. */
const rulesOf = (server: string) => `
@id("open-${server}") @reason("a reference server for trying things out")
permit (principal, action, resource == Portcullis::Server::"${server}");
@id("no-second-${server}") @reason("the second resource is nobody's business")
forbid (principal, action in [Portcullis::Action::"${server}:resources/read", Portcullis::Action::"${server}:resources/subscribe"], resource)
when { context.input.uri == "demo://resource/dynamic/text/2" };
@id("no-simple-${server}") @reason("the simple prompt is withdrawn")
forbid (principal, action == Portcullis::Action::"${server}:prompts/get", resource) when { context.input.name == "simple-prompt" };
@id("no-s-${server}") @reason("nobody completes an S")
forbid (principal, action == Portcullis::Action::"${server}:completion/complete", resource) when { context.input.argument.value == "S" };
@id("no-long-${server}") @reason("long answers of a model cost too much")
forbid (principal, action == Portcullis::Action::"${server}:sampling/createMessage", resource) when { context.input.maxTokens > 100 };
@id("no-links-${server}") @reason("nobody is sent to a page")
forbid (principal, action == Portcullis::Action::"${server}:elicitation/create", resource)
when { context.input has mode && context.input.mode == "url" };
@id("no-secret-${server}") @reason("the word is not repeated")
forbid (principal, action == Portcullis::Action::"${server}/echo", resource) when { context.input.message == "secret" };
@id("no-cancel-${server}") @reason("what was begun is finished")
forbid (principal, action == Portcullis::Action::"${server}:tasks/cancel", resource);
`;
const NO_ROOTS = `
@id("rootless") @reason("its tools may be used") permit (principal, action, resource == Portcullis::Server::"rootless");
@id("no-roots") @reason("where the user works is not told")
forbid (principal, action == Portcullis::Action::"rootless:roots/list", resource);
`;

const ONE = 'demo://resource/dynamic/text/1';
const TWO = 'demo://resource/dynamic/text/2';

let at: Installation;
let gate: RunningCommand;
let url: string;
let remote: { readonly url: string; stop(): Promise<void> };
const clients: Talkative[] = [];

beforeAll(async () => {
  at = installation();
  remote = await everythingOverHttp();
  const stdio = { stdio: { command: process.execPath, args: [referenceServer('everything'), 'stdio'] } };
  at.configure(
    {
      agents: { me: { auth: 'local' } },
      // One for each client: this server remembers what the first one said of its roots.
      servers: {
        stdio: { ...stdio, isolation: 'per-session' },
        http: { http: { url: remote.url }, isolation: 'per-session' },
        rootless: { ...stdio, isolation: 'per-session' },
      },
    },
    SERVERS.map(rulesOf).join('') + NO_ROOTS,
  );
  gate = at.start(['serve', '--name', 'all', '--http', '127.0.0.1:0']);
  url = await urlOf(gate);
  await serversThere(url, [...SERVERS, 'rootless']);
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await remote?.stop();
  await closeInstallations();
});

/** What is there of a call in the ledger, of those that came after `from`. */
type Expected = Readonly<Partial<CallEvidence>>;

async function expectRecorded(from: number, ...expected: readonly Expected[]): Promise<void> {
  await vi.waitFor(
    async () => {
      const calls = (await callsOf(at, 'all')).slice(from);
      expect(calls).toEqual(expect.arrayContaining(expected.map((one) => expect.objectContaining(one))));
    },
    { timeout: 10_000, interval: 50 },
  );
}

const FORBIDDEN = { code: 'POLICY_FORBID', status: undefined, intent: undefined };
/** What no rule could ever allow is as if it were not there. */
const UNKNOWN = { ...FORBIDDEN, code: 'TOOL_UNKNOWN' };
const DONE = { code: undefined, status: 'completed', intent: expect.anything() as CallEvidence['intent'] };

const textOf = (result: JsonObject): string => (result.content as { text: string }[])[0]?.text ?? '';

describe.each([
  ['older, of 2025-11-25', olderOverHttp],
  ['newer, of 2026-07-28', newerOverHttp],
] as const)('a client of the library that is %s', (_name, connect) => {
  describe.each(SERVERS)('and a server behind %s', (server) => {
    let client: Talkative;
    let from = 0;
    let since = 0;

    beforeAll(async () => {
      since = (await callsOf(at, 'all')).length;
      client = await connect(`${url}/${server}`);
      clients.push(client);
    }, 30_000);

    const begin = async (): Promise<void> => {
      from = (await callsOf(at, 'all')).length;
      client.asked.length = 0;
    };
    /** This server asks for roots when it likes to. */
    const asked = () => client.asked.filter((question) => question !== 'roots');

    it('calls tools, and not with what is forbidden', async () => {
      await begin();
      const said = await client.call('echo', { message: 'hello' });
      expect(textOf(said)).toContain('hello');
      expect(metaOf(said, 'receipt')).toBeDefined();
      const denied = await client.call('echo', { message: 'secret' });
      expect(denied.isError).toBe(true);
      expect(metaOf(denied, 'denial')).toMatchObject({ code: 'POLICY_FORBID' });
      await expectRecorded(
        from,
        { tool: 'echo', args: { message: 'hello' }, ...DONE },
        { tool: 'echo', args: { message: 'secret' }, ...FORBIDDEN },
      );
    });

    it('sees prompts and gets them, but one', async () => {
      await begin();
      expect((await client.list('prompts')).map(({ name }) => name)).toContain('args-prompt');
      const prompt = await client.prompt('args-prompt', { city: 'Turku' });
      expect(JSON.stringify(prompt.messages)).toContain('Turku');
      await expect(client.prompt('simple-prompt')).rejects.toThrow(/POLICY_FORBID/);
      await expectRecorded(
        from,
        { tool: 'prompts/get', args: { name: 'args-prompt', arguments: { city: 'Turku' } }, ...DONE },
        { tool: 'prompts/get', args: { name: 'simple-prompt' }, ...FORBIDDEN },
      );
    });

    it('sees resources and their templates, and reads them, but one', async () => {
      await begin();
      expect((await client.list('resources')).length).toBeGreaterThan(0);
      const templates = (await client.list('resourceTemplates')).map(({ uriTemplate }) => uriTemplate);
      expect(templates).toContain('demo://resource/dynamic/text/{resourceId}');
      expect((await client.read(ONE)).contents).toMatchObject([{ uri: ONE }]);
      await expect(client.read(TWO)).rejects.toThrow(/POLICY_FORBID/);
      await expectRecorded(
        from,
        { tool: 'resources/read', args: { uri: ONE }, ...DONE },
        { tool: 'resources/read', args: { uri: TWO }, ...FORBIDDEN },
      );
    });

    it('subscribes to resources, but one, and is told of them until it has had enough', async () => {
      await begin();
      client.updated.length = 0;
      await expect(client.subscribe(TWO)).rejects.toThrow();
      const stop = await client.subscribe(ONE);
      await client.call('toggle-subscriber-updates', {});
      await vi.waitFor(() => expect(client.updated).toContain(ONE), { timeout: 10_000 });
      await stop();
      await client.call('toggle-subscriber-updates', {});
      expect(client.updated).not.toContain(TWO);
      await expectRecorded(
        from,
        { tool: 'resources/subscribe', args: { uri: TWO }, ...FORBIDDEN },
        { tool: 'resources/subscribe', args: { uri: ONE }, ...DONE },
        { tool: 'resources/unsubscribe', args: { uri: ONE }, ...DONE },
      );
    });

    it('completes arguments, but one', async () => {
      await begin();
      expect(await client.complete('completable-prompt', 'department', 'E')).toEqual(['Engineering']);
      await expect(client.complete('completable-prompt', 'department', 'S')).rejects.toThrow(/POLICY_FORBID/);
      await expectRecorded(
        from,
        { tool: 'completion/complete', ...DONE },
        { tool: 'completion/complete', ...FORBIDDEN },
      );
    });

    it('lends its model, but not for long answers', async () => {
      await begin();
      const sampled = await client.call('trigger-sampling-request', { prompt: 'What is it?', maxTokens: 7 });
      expect(textOf(sampled)).toContain('forty-two');
      const refused = await client.call('trigger-sampling-request', { prompt: 'More!', maxTokens: 101 }).catch(failed);
      expect(refused.isError).toBe(true);
      expect(asked()).toEqual(['sample 7']);
      await expectRecorded(
        from,
        { tool: 'sampling/createMessage', ...DONE },
        { tool: 'sampling/createMessage', ...FORBIDDEN },
        { tool: 'trigger-sampling-request', ...DONE },
      );
    });

    it('asks its user, but sends nobody to a page', async () => {
      await begin();
      const elicited = await client.call('trigger-elicitation-request', {});
      expect(JSON.stringify(elicited)).toContain('Ada');
      const page = { url: 'https://login.example/', message: 'log in' };
      const refused = await client.call('trigger-url-elicitation', page).catch(failed);
      expect(refused.isError).toBe(true);
      expect(asked()).toEqual([expect.stringMatching(/^elicit Please provide/)]);
      await expectRecorded(from, { tool: 'elicitation/create', ...DONE }, { tool: 'elicitation/create', ...FORBIDDEN });
    });

    it('tells where its user works', async () => {
      const rooted = await client.call('get-roots-list', {});
      expect(textOf(rooted)).toContain('file:///srv/ada');
      // It may have asked in an earlier call already.
      await expectRecorded(since, { tool: 'roots/list', ...DONE });
    });

    it('hears of progress', async () => {
      await begin();
      const steps: number[] = [];
      const args = { duration: 0.03, steps: 3 };
      const onprogress = ({ progress }: { progress: number }) => void steps.push(progress);
      await client.call('trigger-long-running-operation', args, { onprogress });
      expect(steps.length).toBeGreaterThan(0);
      expect(steps).toEqual([1, 2, 3].slice(0, steps.length));
      await expectRecorded(from, { tool: 'trigger-long-running-operation', ...DONE });
    });

    it('withdraws a call, which ends in the ledger as withdrawn', async () => {
      await begin();
      const over = new AbortController();
      const args = { duration: 20, steps: 2_000 };
      const onprogress = (): void => over.abort('enough');
      const call = client.call('trigger-long-running-operation', args, { onprogress, signal: over.signal });
      await expect(call).rejects.toBeDefined();
      await expectRecorded(from, { tool: 'trigger-long-running-operation', code: 'CANCELLED', status: 'aborted' });
    });

    it('has tasks where its revision has those of the server', async () => {
      await begin();
      const tool = 'simulate-research-query';
      const { request } = client;
      if (request === undefined) {
        // The tasks of the two eras are not the same: the tool that is nothing but a task cannot be used.
        const refused = await client.call(tool, { topic: 'gates' }).catch(failed);
        expect(refused.isError).toBe(true);
        return;
      }
      // That they can be cancelled is not even said: no rule could ever allow it.
      expect(client.capabilities().tasks).toEqual({ list: {}, requests: { tools: { call: {} } } });
      const begun = await request('tools/call', { name: tool, arguments: { topic: 'gates' }, task: { ttl: 60_000 } });
      const { taskId } = begun.task as { taskId: string };
      expect(await request('tasks/get', { taskId })).toMatchObject({ taskId });
      await expect(request('tasks/cancel', { taskId })).rejects.toThrow(/Unknown target/);
      await expectRecorded(
        from,
        { tool, ...DONE, status: 'incomplete' },
        { tool: 'tasks/get', ...DONE },
        { tool: 'tasks/cancel', ...UNKNOWN },
      );
    });
  });

  it('is not asked where its user works, where that is forbidden', async () => {
    const client = await connect(`${url}/rootless`);
    clients.push(client);
    const from = (await callsOf(at, 'all')).length;
    const refused = await client.call('get-roots-list', {}).catch(failed);
    expect(JSON.stringify(refused)).not.toContain('/srv/ada');
    expect(client.asked).toEqual([]);
    await expectRecorded(from, { tool: 'roots/list', ...UNKNOWN });
  });
});

it('a client of the newer library on standard input is asked and answered too', async () => {
  // The library starts a second process first, only to ask which revisions are spoken.
  const alone = installation();
  const stdio = { stdio: { command: process.execPath, args: [referenceServer('everything'), 'stdio'] } };
  alone.configure({ agents: { me: { auth: 'local' } }, servers: { stdio } }, rulesOf('stdio'));
  const line = [process.execPath, ...APPROVING, PORTCULLIS, 'serve', '--name', 'alone', '--stdio'];
  const client = await newerOverStdio(line, alone.env);
  clients.push(client);
  const sampled = await client.call('stdio__trigger-sampling-request', { prompt: 'What is it?', maxTokens: 7 });
  expect(textOf(sampled)).toContain('forty-two');
  expect(client.asked).toContain('sample 7');
}, 30_000);

proves('G6', 'and the ledger of all that verifies', async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  expect(await gate.stop()).toMatchObject({ code: 0 });
  expect(await at.audit(['verify', at.ledger('all')])).toMatchObject({ code: 0 });
});

function failed(error: Error): JsonObject {
  return { isError: true, content: [{ type: 'text', text: error.message }] };
}
