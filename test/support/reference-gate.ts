// An installation in front of the reference servers: a workspace in which files may be read and written, and a folder beside it that the
// file server would serve too, but the rules do not allow.

import { mkdirSync, writeFileSync } from 'node:fs';
import { referenceServer } from '../fixtures/servers/paths.ts';
import { type Installation, installation } from './cli.ts';

export interface ReferenceGate {
  readonly at: Installation;
  readonly workspace: string;
  /** Allowed by the server, not by the rules. */
  readonly outside: string;
  /** The command lines of the servers by themselves. */
  readonly direct: Readonly<Record<'fs' | 'everything', readonly string[]>>;
}

const RULES = `
@id("fs-read") @reason("files of the workspace may be read")
permit (principal, action in [Acme::Action::"fs/read_text_file", Acme::Action::"fs/list_directory"], resource == Acme::Server::"fs")
when { context.facts.paths.within.contains("workspace") };

@id("fs-write") @reason("developers write in the workspace")
permit (principal in Acme::Role::"dev", action == Acme::Action::"fs/write_file", resource == Acme::Server::"fs")
when { context.facts.paths.within.contains("workspace") };

@id("everything") @reason("these tools compute; they reach nothing")
permit (principal in Acme::Role::"dev", action in Acme::Action::"harmless", resource == Acme::Server::"everything");
`;

export const HARMLESS = [
  'echo',
  'get-annotated-message',
  'get-resource-links',
  'get-structured-content',
  'get-sum',
  'get-tiny-image',
  'trigger-long-running-operation',
];

export interface ReferenceOptions {
  readonly agents?: object;
  readonly identity?: object;
  /** Where `everything` is, when it is not a process of the gate. */
  readonly everythingUrl?: string;
}

export function referenceGate(options: ReferenceOptions = {}): ReferenceGate {
  const at = installation();
  const [workspace, outside] = [at.path('files', 'workspace'), at.path('files', 'outside')];
  for (const folder of [workspace, outside]) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/note.txt`, 'a note');
  }
  const direct = {
    fs: [process.execPath, referenceServer('filesystem'), at.path('files')],
    everything: [process.execPath, referenceServer('everything'), 'stdio'],
  };
  const limits = { outputBytes: 4 * 1024 * 1024 };
  const stdio = ([command, ...args]: readonly string[]): object => ({ stdio: { command, args }, limits });
  const { everythingUrl, identity = {} } = options;
  at.configure(
    {
      namespace: 'Acme',
      agents: options.agents ?? { me: { roles: ['dev'], auth: 'local' } },
      identity,
      servers: {
        fs: stdio(direct.fs),
        everything: everythingUrl === undefined ? stdio(direct.everything) : { http: { url: everythingUrl } },
      },
      facts: {
        fs: {
          '*': {
            paths: { kind: 'path', from: ['/path', '/paths/*', '/source', '/destination'], roots: { workspace } },
          },
        },
      },
      groups: { harmless: HARMLESS.map((tool) => `everything/${tool}`) },
    },
    RULES,
  );
  return { at, workspace, outside, direct };
}
