import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import { Approvals } from '../../../cli/approvals.ts';
import { ApprovedServers } from '../../../cli/approved-servers.ts';
import type { LiveDefinition } from '../../../cli/live-definition.ts';
import type { ServerLaunch } from '../../../cli/servers.ts';
import { Catalogue } from '../../../proxy/catalogue.ts';
import { Quarantine } from '../../../proxy/quarantine.ts';
import { proves } from '../../guarantees.ts';

const LAUNCH = { name: 'fs', description: { stdio: { command: 'fs' } } } as unknown as ServerLaunch;
const said = (description: string): LiveDefinition & { prompts: []; resourceTemplates: [] } => ({
  launch: LAUNCH.description,
  instructions: null,
  tools: [{ name: 'add', description, inputSchema: { type: 'object' } }],
  prompts: [],
  resourceTemplates: [],
});

let state: string;
let servers: ApprovedServers;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'portcullis-'));
});

afterEach(() => {
  servers.close();
  rmSync(state, { recursive: true, force: true });
});

/** The servers of a gate, what is done with them and what a person is told. */
async function gate(isWanted: () => boolean = () => true) {
  const approvals = new Approvals(state, new Uint8Array(32));
  const quarantine = new Quarantine();
  const done: string[] = [];
  const notes: string[] = [];
  servers = new ApprovedServers({
    approvals,
    launches: [LAUNCH],
    catalogue: new Catalogue(sha256),
    facts: { serverPinned: async () => {}, serverDrifted: async () => {}, serverWithdrawn: async () => {} },
    isWanted,
    setAside: async (quarantined) => {
      quarantine.put(quarantined);
      return 0;
    },
    lift: (server, cause) => quarantine.lift('server', server, cause),
    arrived: (server) => servers.judged([server]),
    begin: () => done.push('begin'),
    end: () => done.push('end'),
    announce: () => {},
    command: (verb) => `portcullis tools ${verb} fs`,
    note: (text) => notes.push(text),
  });
  const approve = async (description: string): Promise<void> => {
    await approvals.approve('fs', said(description), { by: 'test' });
    await servers.look();
  };
  await servers.open();
  return { approve, quarantine, done, notes };
}

const isSetAside = (quarantine: Quarantine): string | undefined => quarantine.of('server', 'fs')?.code;

it('a server that nobody wants is not started, approved or not, and is as soon as somebody does', async () => {
  let isWanted = false;
  const { approve, quarantine, done } = await gate(() => isWanted);
  expect(isSetAside(quarantine)).toBe('SERVER_UNAPPROVED');
  await approve('adds');
  expect([done, isSetAside(quarantine)]).toEqual([[], undefined]);
  isWanted = true;
  await servers.want('fs');
  expect(done).toEqual(['begin']);
  await servers.described(LAUNCH, said('sends'));
  expect(isSetAside(quarantine)).toBe('SERVER_QUARANTINED');
});

describe('a server that is not what was approved', () => {
  proves('G12', 'is ended and told of once, and is not started again before it is approved again', async () => {
    const { approve, quarantine, done, notes } = await gate();
    await approve('adds');
    await servers.described(LAUNCH, said('adds'));
    expect([done, isSetAside(quarantine)]).toEqual([['begin'], undefined]);
    await servers.described(LAUNCH, said('sends'));
    expect([done, isSetAside(quarantine)]).toEqual([['begin', 'end'], 'SERVER_QUARANTINED']);
    // Whatever it says from then on, and whatever else a person does meanwhile.
    for (const description of ['sends', 'takes', 'adds']) await servers.described(LAUNCH, said(description));
    await servers.look();
    expect(done).toEqual(['begin', 'end']);
    expect(notes.filter((note) => note.includes('set aside'))).toHaveLength(1);
    await approve('sends');
    expect(done).toEqual(['begin', 'end', 'begin']);
    await servers.described(LAUNCH, said('sends'));
    expect(isSetAside(quarantine)).toBeUndefined();
  });

  proves('G12', 'because of what it runs stays down too, and comes back with a later approval alone', async () => {
    const { approve, quarantine, done } = await gate();
    await approve('adds');
    await servers.described(LAUNCH, said('adds'));
    quarantine.put({ kind: 'server', id: 'fs', code: 'SERVER_QUARANTINED', reason: 'other', cause: 'environment' });
    servers.broke('fs');
    await servers.look();
    expect(done).toEqual(['begin', 'end']);
    await approve('adds');
    expect(done).toEqual(['begin', 'end', 'begin']);
    await servers.described(LAUNCH, said('adds'));
    // That its environment is good again is not said here.
    expect(quarantine.of('server', 'fs')?.cause).toBe('environment');
  });

  it('is not given a second start because it was approved once more meanwhile', async () => {
    const { approve, quarantine, done } = await gate();
    await approve('adds');
    await servers.described(LAUNCH, said('adds'));
    await approve('adds');
    expect(done).toEqual(['begin']);
    await servers.described(LAUNCH, said('sends'));
    expect([done, isSetAside(quarantine)]).toEqual([['begin', 'end'], 'SERVER_QUARANTINED']);
  });
});

describe('a server that was approved', () => {
  it('is started once, however often somebody looks while it starts', async () => {
    const { approve, done } = await gate();
    await approve('adds');
    await servers.look();
    await servers.look();
    expect(done).toEqual(['begin']);
  });

  it('says again what it is where something else is approved of it', async () => {
    const { approve, done } = await gate();
    await approve('adds');
    await servers.described(LAUNCH, said('adds'));
    await approve('adds well');
    expect(done).toEqual(['begin', 'begin']);
  });
});
