import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateDocumentRefused } from '../../../adapters/storage/state-document.ts';
import { Approvals } from '../../../cli/approvals.ts';
import { proves } from '../../guarantees.ts';

const DEFINITION = { launch: { command: 'fs' }, instructions: null, tools: [], prompts: [], resourceTemplates: [] };

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'portcullis-'));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const open = (): Approvals => new Approvals(state, new Uint8Array(32));
const file = (): string => join(state, 'approvals.json');
const head = (): string => join(state, 'keys', 'approvals-head.json');
const approve = (server: string) => open().approve(server, DEFINITION, { by: 'me' });

describe('approvals', () => {
  proves(
    'G12',
    'of which an older copy was put back are refused: what was taken back is not approved again',
    async () => {
      await approve('fs');
      copyFileSync(file(), join(state, 'kept'));
      await open().revoke('fs');
      copyFileSync(join(state, 'kept'), file());
      await expect(open().read()).rejects.toThrow(StateDocumentRefused);
      await expect(open().read()).rejects.toThrow(/it is revision 1, and revision 2 is known/);
      // Nothing is built on them either.
      await expect(approve('git')).rejects.toThrow(StateDocumentRefused);
      await expect(open().revoke('fs')).rejects.toThrow(StateDocumentRefused);
    },
  );

  it('that are gone are refused once there were any', async () => {
    await approve('fs');
    rmSync(file());
    await expect(open().read()).rejects.toThrow(/is gone/);
  });

  it('are refused where what is known of their age was altered', async () => {
    await approve('fs');
    writeFileSync(head(), readFileSync(head(), 'utf8').replace('"n":1', '"n":2'));
    await expect(open().read()).rejects.toThrow(StateDocumentRefused);
  });

  it('written by somebody who was killed before he could say so count, and from then on nothing older does', async () => {
    await approve('fs');
    copyFileSync(file(), join(state, 'older'));
    copyFileSync(head(), join(state, 'behind'));
    await open().revoke('fs');
    copyFileSync(join(state, 'behind'), head());
    expect(await open().read()).toEqual({ revision: 2, approvals: [] });
    copyFileSync(join(state, 'older'), file());
    await expect(open().read()).rejects.toThrow(StateDocumentRefused);
  });

  it('are read while they are written', async () => {
    const written = (async () => {
      for (let n = 0; n < 5; n++) await approve(`s${n}`);
    })();
    let read = 0;
    while (read < 5) read = (await open().read()).revision;
    await written;
    expect((await open().read()).approvals).toHaveLength(5);
  });
});
