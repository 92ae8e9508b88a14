import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { initCommand, reviewCommand } from '../../../cli/review-command.ts';
import type { Manifest } from '../../../control-plane/policy/manifest.ts';

const listed = { file: '/etc/our house.yaml', manifest: { servers: { fs: {} } } as unknown as Manifest };
const launch = { name: 'fs', description: { stdio: { command: 'node', args: ["it's", '$(x)', ''], cwd: '/a b' } } };

/** The words that a shell makes of a command. */
function words(command: string): string[] {
  const said = execFileSync('/bin/sh', [
    '-c',
    `portcullis() { for word; do printf '%s\\n' "$word"; done; }\n${command}`,
  ]);
  return said.toString().split('\n').slice(0, -1);
}

describe('the command that a person is told to run', () => {
  it('names the manifest and the folder where they are not the usual ones, as a shell reads them', () => {
    const command = reviewCommand('approve', { ...launch, ranIn: '/a b' }, listed);
    expect(words(command)).toEqual(['tools', 'approve', 'fs', '--config', '/etc/our house.yaml', '--cwd', '/a b']);
    expect(words(reviewCommand('integrity', launch, listed)).slice(0, 2)).toEqual(['integrity', 'fs']);
  });

  it('writes a server that no manifest lists into one, with its own command and the folder it was started in', () => {
    const expected = ['policy', 'init', '--name', 'fs', '--cwd', '/a b', '--', 'node', "it's", '$(x)', ''];
    expect(words(reviewCommand('approve', { ...launch, ranIn: '/a b' }, undefined))).toEqual(expected);
    expect(words(initCommand('fs', { command: 'node', args: ["it's", '$(x)', ''] }, undefined, '/a b'))).toEqual(
      expected,
    );
  });
});
