// Whoever comes for a server waits until it is known what becomes of it, and no longer.

import { expect, it } from 'vitest';
import { WantedServers } from '../../../cli/wanted-servers.ts';

it('lets nobody wait for a server that the rules let nobody have', async () => {
  const wanted = new WantedServers([]);
  expect(wanted.add('files')).toBe(true);
  expect(wanted.add('files')).toBe(false);
  const known = [wanted.known('files'), wanted.known('files')];
  expect(wanted.isJudged('files')).toBe(false);
  wanted.judged('files');
  await Promise.all(known);
  expect(wanted.isJudged('files')).toBe(true);
  expect(wanted.isJudged('others')).toBe(false);
});
