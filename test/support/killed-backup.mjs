// Replaces two files of a folder with a journal beside them, and is killed at its nth write.

import { join } from 'node:path';
import { faultyDisk } from './faulty-disk.mjs';

const [folder, at, when] = process.argv.slice(2);
const { Backups } = await import('../../dist/adapters/clients/backups.js');
const { seeFile } = await import('../../dist/adapters/clients/safe-file.js');

const die = () => process.kill(process.pid, 'SIGKILL');
const { disk } = faultyDisk(Number(at), (_name, really) => {
  if (when === 'after') really();
  die();
});
const backups = new Backups(join(folder, 'state', 'backups'), { disk });
backups.apply(
  'init',
  ['a.json', 'b.json'].map((name) => ({
    file: join(folder, name),
    client: 'test',
    before: seeFile(join(folder, name)),
    after: Buffer.from(`{"new":"${name}"}\n`),
  })),
);
process.stdout.write('done');
