import { expect, it } from 'vitest';
import { launchOf } from '../../../cli/servers.ts';
import { parseManifest } from '../../../control-plane/policy/parse-manifest.ts';
import { proves } from '../../guarantees.ts';

proves('G4', 'a server that is to have a sandbox is started by nobody without one', async () => {
  const text = JSON.stringify({
    apiVersion: 'portcullis/v1',
    namespace: 'House',
    agents: {},
    servers: { caged: { stdio: { command: process.execPath }, sandbox: {} } },
  });
  const parsed = parseManifest(text, 'portcullis.yaml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const caged = parsed.manifest.servers.caged;
  if (caged === undefined) throw new Error('it is not listed');
  const launch = await launchOf('caged', caged, '/');
  expect(() => launch.start({ clientInfo: {}, listener: {} })).toThrow('the server caged without its sandbox');
});

it('the variables that a server is to have come from the environment that its starter names', async () => {
  const text = JSON.stringify({
    apiVersion: 'portcullis/v1',
    agents: {},
    servers: { notes: { stdio: { command: 'notes', env: { allow: ['NOTES_PLACE'] } } } },
  });
  const parsed = parseManifest(text, 'portcullis.yaml');
  const notes = parsed.ok ? parsed.manifest.servers.notes : undefined;
  if (notes === undefined) throw new Error('it is not listed');
  const launch = await launchOf('notes', notes, '/', '/', { NOTES_PLACE: 'here', OTHER: 'never' });
  expect(launch.line?.()).toMatchObject({ env: { NOTES_PLACE: 'here' }, configured: ['NOTES_PLACE'] });
  expect(launch.line?.().env).not.toHaveProperty('OTHER');
  expect(JSON.stringify(launch.description)).not.toContain('here');
});
