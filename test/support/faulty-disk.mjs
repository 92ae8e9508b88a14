// A file system whose nth write fails, or happens and is reported as failed, or is the last thing that its process does.

import fs from 'node:fs';

const WRITING = ['mkdirSync', 'openSync', 'writeSync', 'fchmodSync', 'fsyncSync', 'renameSync', 'rmSync'];

/** `act(name, really)` is called for the nth of the writes; `count()` tells how many there were. */
export function faultyDisk(at, act) {
  let count = 0;
  const disk = { ...fs };
  for (const name of WRITING) {
    disk[name] = (...args) => {
      const really = () => fs[name](...args);
      return count++ === at ? act(name, really) : really();
    };
  }
  return { disk, count: () => count };
}
