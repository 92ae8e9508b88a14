// What is remembered of how a server introduces itself, and when it is not believed.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Approvals } from '../../../cli/approvals.ts';
import { RememberedDescriptions } from '../../../cli/remembered-descriptions.ts';
import type { ServerLaunch } from '../../../cli/servers.ts';
import { SupervisedServers } from '../../../cli/supervised-servers.ts';
import type { ServerDescription } from '../../../proxy/tool-server.ts';
import { ScriptedServer, TOOLS } from '../../support/gate-world.ts';

const SECRET = new Uint8Array(32);
const LAUNCH = { name: 'fs', description: { stdio: { command: 'fs' } }, line: () => ({}) } as unknown as ServerLaunch;
const DEFINITION = {
  launch: LAUNCH.description,
  instructions: 'be careful',
  tools: [{ name: 'add', inputSchema: { type: 'object' } }],
  prompts: [],
  resourceTemplates: [],
};
const SAID: ServerDescription = {
  name: 'fs',
  protocolVersion: '2025-11-25',
  serverInfo: { name: 'fs', version: '1' },
  capabilities: { tools: {}, prompts: {} },
  instructions: 'be careful',
  tools: DEFINITION.tools.map((raw) => ({ name: raw.name, raw })),
};

let state: string;
let approvals: Approvals;

beforeEach(async () => {
  state = mkdtempSync(join(tmpdir(), 'portcullis-'));
  approvals = new Approvals(state, SECRET);
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const approve = (environment: object | null = {}) =>
  approvals.approve('fs', DEFINITION, { by: 'test', environment: environment as never });

async function remembered(secret = SECRET): Promise<RememberedDescriptions> {
  const known = await approvals.read();
  const standing = (name: string) => known.approvals.findLast(({ server }) => server === name);
  return new RememberedDescriptions(state, secret, approvals, standing);
}

describe('how a server introduced itself', () => {
  it('is not known before it did, and is known in the next run', async () => {
    await approve();
    const first = await remembered();
    expect(await first.of(LAUNCH)).toBeUndefined();
    first.put(LAUNCH, SAID);
    expect(await (await remembered()).of(LAUNCH)).toEqual({ live: DEFINITION, description: SAID });
  });

  it('is not known any more once it is approved anew, by another key, or when the file was altered', async () => {
    await approve();
    (await remembered()).put(LAUNCH, SAID);
    expect(await (await remembered(new Uint8Array(32).fill(1))).of(LAUNCH)).toBeUndefined();
    const file = join(state, 'introductions.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('prompts', 'logging'));
    expect(await (await remembered()).of(LAUNCH)).toBeUndefined();
    writeFileSync(file, text);
    expect(await (await remembered()).of(LAUNCH)).toBeDefined();
    await approve({ again: true });
    expect(await (await remembered()).of(LAUNCH)).toBeUndefined();
  });

  it('is not kept of what was not measured, what has drifted, or what runs somewhere else', async () => {
    await approve(null);
    const unmeasured = await remembered();
    unmeasured.put(LAUNCH, SAID);
    expect(await unmeasured.of(LAUNCH)).toBeUndefined();
    await approve();
    const { line: _, ...remote } = LAUNCH;
    const known = await remembered();
    known.put(remote, SAID);
    expect(await known.of(remote)).toBeUndefined();
    known.put(LAUNCH, SAID);
    const [approval] = (await approvals.read()).approvals.slice(-1);
    await approvals.drifted(approval!, { ...DEFINITION, instructions: 'be quick' });
    expect(await (await remembered()).of(LAUNCH)).toBeUndefined();
  });
});

describe('a server of which every conversation has its own', () => {
  const asks = async (remember: boolean) => {
    const server = new ScriptedServer('fs', TOOLS);
    let started = 0;
    const start = server.start.bind(server);
    Object.assign(server, {
      start: () => {
        started++;
        return start();
      },
    });
    const launch = { ...LAUNCH, apart: 'conversation', start: () => server } as unknown as ServerLaunch;
    const asked: string[] = [];
    const servers = new SupervisedServers([launch], {
      version: '0.0.0',
      gate: 'gate',
      note: () => {},
      onDescribed: async () => void asked.push('described'),
      onRelisted: async () => {},
      compare: () => 'same',
      ...(remember ? { remembered: async () => ({ live: DEFINITION, description: SAID }) } : {}),
      onAsked: () => asked.push('asked'),
      onUnavailable: () => {},
      onNotice: () => {},
      onQuestion: () => undefined,
      onReady: () => {},
      onProcessEnded: () => {},
      onRefusedRequest: () => {},
    });
    servers.start();
    servers.begin('fs');
    await expect.poll(() => servers.apart('fs')?.description).toBeDefined();
    await expect.poll(() => asked.length).toBe(remember ? 1 : 2);
    await servers.stop();
    return { started, asked };
  };

  it('is started to be asked, and what it said is handed on to be remembered', async () => {
    expect(await asks(false)).toMatchObject({ asked: ['described', 'asked'] });
  });

  it('is not started for nobody where it is remembered', async () => {
    expect(await asks(true)).toEqual({ started: 0, asked: ['described'] });
  });
});
