import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  openStateDocument,
  type StateDocumentOptions,
  StateDocumentRefused,
} from '../../../../adapters/storage/state-document.ts';
import type { Json } from '../../../../domain/json.ts';
import { headsMac, temporaryFolder } from '../../../support/ledger.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

type Pins = { readonly [tool: string]: string };

function options(more: Partial<StateDocumentOptions<Pins>> = {}): StateDocumentOptions<Pins> {
  return {
    path: join(folder.path, 'state', 'pins.json'),
    kind: 'pins',
    initial: {},
    parse: (value: Json) => (typeof value === 'object' && !Array.isArray(value) ? (value as Pins) : undefined),
    mac: headsMac,
    ...more,
  };
}

describe('a state document', () => {
  it('is refused after any change of a bit, and after any cut', async () => {
    const { path } = options();
    const document = await openStateDocument(options());
    await document.replace({ read_file: 'sha256:abc' });
    const bytes = readFileSync(path);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      writeFileSync(path, flipped);
      await expect(openStateDocument(options())).rejects.toThrow(StateDocumentRefused);
      writeFileSync(path, bytes.subarray(0, at));
      await expect(openStateDocument(options())).rejects.toThrow(StateDocumentRefused);
    }
    writeFileSync(path, bytes);
    expect((await openStateDocument(options())).value).toEqual({ read_file: 'sha256:abc' });
  });

  it('is refused when it is of another kind, sealed with another key, not of its type or too old', async () => {
    await (await openStateDocument(options())).replace({ a: 'b' });
    await expect(openStateDocument(options({ kind: 'keys' }))).rejects.toThrow('kind');
    await expect(openStateDocument(options({ mac: () => new Uint8Array(32) }))).rejects.toThrow('another key');
    await expect(openStateDocument(options({ parse: () => undefined }))).rejects.toThrow('hold what it should');
    await expect(openStateDocument(options({ revisionMin: 2 }))).rejects.toThrow('older');
    expect((await openStateDocument(options({ revisionMin: 1 }))).revision).toBe(1);
  });

  it('is there as the old or as the new one whenever a crash leaves a temporary file behind', async () => {
    const { path } = options();
    const document = await openStateDocument(options());
    await document.replace({ which: 'old' });
    writeFileSync(`${path}.0123456789abcdef.tmp`, readFileSync(path).subarray(0, 10));
    expect((await openStateDocument(options())).value).toEqual({ which: 'old' });
  });

  it('keeps the value before and refuses to go on when it cannot be written', async () => {
    const { path } = options();
    const document = await openStateDocument(options());
    await document.replace({ which: 'old' });
    rmSync(dirname(path), { recursive: true });
    await expect(document.replace({ which: 'new' })).rejects.toThrow('ENOENT');
    expect(document.value).toEqual({ which: 'old' });
    mkdirSync(dirname(path));
    await expect(document.replace({ which: 'newer' })).rejects.toThrow('ENOENT');
    expect(existsSync(path)).toBe(false);
  });

  it('leaves no temporary file when it cannot take the place of the old one', async () => {
    const { path } = options();
    mkdirSync(join(path, 'in the way'), { recursive: true });
    const document = await openStateDocument(options()).catch((error) => error);
    expect(document).toBeInstanceOf(Error);
    rmSync(path, { recursive: true });
    const fresh = await openStateDocument(options());
    mkdirSync(join(path, 'in the way'), { recursive: true });
    await expect(fresh.replace({ a: 'b' })).rejects.toThrow();
    expect(readdirSync(dirname(path))).toEqual(['pins.json']);
  });

  it('writes in the order in which it was asked, counts each write, and is for its owner alone', async () => {
    const { path } = options();
    const document = await openStateDocument(options());
    await Promise.all(['1', '2', '3'].map((n) => document.replace({ n })));
    expect({ value: document.value, revision: document.revision }).toEqual({ value: { n: '3' }, revision: 3 });
    expect((await openStateDocument(options())).revision).toBe(3);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    chmodSync(dirname(path), 0o700);
  });
});
