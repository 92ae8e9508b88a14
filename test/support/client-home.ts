// A home with files of clients in it, for commands that find them there. Nothing outside of it is looked at.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Machine } from '../../adapters/clients/client-paths.ts';
import { type InitOptions, init } from '../../cli/commands/init.ts';
import { type RestoreOptions, restore } from '../../cli/commands/restore.ts';
import { type UninstallOptions, uninstall } from '../../cli/commands/uninstall.ts';
import type { Home } from '../../cli/home.ts';
import { CommandError, output } from '../../cli/output.ts';

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class ClientHome {
  readonly folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  readonly project = join(this.folder, 'work');
  readonly home: Home = { config: join(this.folder, 'config'), state: join(this.folder, 'state') };

  /** Where the commands are typed. */
  started = 'work';

  get machine(): Machine {
    return { platform: 'linux', home: this.folder, env: {}, cwd: join(this.folder, this.started) };
  }

  write(path: string, text: string): string {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  init(options: InitOptions = { yes: true }, json = false): Promise<Said> {
    return said(json, (out) => init(options, out, { home: this.home, machine: this.machine }));
  }

  restore(options: RestoreOptions = { all: true, yes: true }, json = false): Promise<Said> {
    return said(json, (out) => restore(options, out, this.home));
  }

  uninstall(options: UninstallOptions = { yes: true }, json = false): Promise<Said> {
    return said(json, (out) => uninstall(options, out, this.home));
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function said(json: boolean, work: (out: ReturnType<typeof output>) => Promise<number>): Promise<Said> {
  const texts = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof texts) => ({
    write: (text: string) => {
      texts[name] += text;
    },
  });
  const out = output(json, { stdout: stream('stdout'), stderr: stream('stderr') });
  try {
    return { code: await work(out), ...texts };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    out.error(error.message, ...error.hints);
    return { code: error.exit, ...texts };
  }
}
