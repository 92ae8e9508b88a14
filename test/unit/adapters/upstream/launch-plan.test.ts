// The words that start a server's process.

import { describe, expect, it } from 'vitest';
import { type Enclosure, launchPlan, type MachineMeans } from '../../../../adapters/upstream/stdio/launch-plan.ts';
import { NO_MEANS } from '../../../../adapters/upstream/stdio/machine-means.ts';
import { prlimitOptions, readCeilings } from '../../../../adapters/upstream/stdio/resources.ts';

const ENCLOSURE: Enclosure = { before: ['/u', '--pid', '--'], init: ['/sh', '-c', 'x', 'sh'], countsProcesses: true };
const ALL: MachineMeans = { setpriv: '/s', prlimit: '/p', enclosure: ENCLOSURE, ceilings: {} };
const REQUEST = { file: '/server', args: ['--flag', 'a b'], resources: {} };

describe('a launch plan', () => {
  it.each([
    [
      'any limit, without prlimit',
      { memoryMb: 100, files: 20 },
      { ...ALL, prlimit: undefined },
      /^memoryMb, files: .*prlimit/,
    ],
    [
      'processes, without a namespace',
      { processes: 10 },
      { ...ALL, enclosure: undefined },
      /^processes: .*user namespace/,
    ],
    [
      'processes, where nobody counts them',
      { processes: 10 },
      { ...ALL, enclosure: { ...ENCLOSURE, countsProcesses: false } },
      /^processes: /,
    ],
  ])('refuses %s', (_what, resources, means, reason) => {
    const planned = launchPlan({ ...REQUEST, resources }, means);
    expect(planned).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
  });

  it('is the bare server where the machine has nothing', () => {
    expect(launchPlan(REQUEST, NO_MEANS)).toEqual({
      ok: true,
      plan: { command: '/server', args: ['--flag', 'a b'], generations: 0 },
    });
  });

  it('puts death before the namespace, limits inside of it, and the first process before the server', () => {
    const planned = launchPlan({ ...REQUEST, resources: { processes: 10 } }, ALL);
    const words = planned.ok ? [planned.plan.command, ...planned.plan.args].join(' ') : planned.reason;
    expect(words).toBe(
      '/s --pdeathsig KILL -- /u --pid -- /p --core=0:0 --nofile=8192:8192 --nproc=12:12 -- /sh -c x sh /server --flag a b',
    );
    expect(planned).toMatchObject({ plan: { generations: 2 } });
  });

  it('takes another enclosure, or none', () => {
    const other = launchPlan(REQUEST, ALL, { before: ['/bwrap', '--'], init: [], countsProcesses: false });
    expect(other).toMatchObject({ ok: true, plan: { generations: 2, args: expect.arrayContaining(['/bwrap']) } });
    const ours = { before: [], init: [], countsProcesses: true, ourProcesses: 16 };
    const counted = launchPlan({ ...REQUEST, resources: { processes: 10 } }, ALL, ours);
    expect(counted).toMatchObject({ ok: true, plan: { args: expect.arrayContaining(['--nproc=28:28']) } });
    const first = launchPlan(REQUEST, { ...ALL, enclosure: { ...ENCLOSURE, init: undefined } });
    expect(first).toMatchObject({ ok: true, plan: { generations: 1 } });
  });
});

describe('limits', () => {
  it('are those that were asked for, and never more than holds already', () => {
    const asked = { memoryMb: 2, files: 100, fileSizeMb: 3, cpuSeconds: 4, processes: 5 };
    expect(prlimitOptions(asked, { nofile: 64, core: 0 }, 2)).toEqual([
      '--core=0:0',
      '--nofile=64:64',
      '--data=2097152:2097152',
      '--fsize=3145728:3145728',
      '--cpu=4:5',
      '--nproc=7:7',
    ]);
  });

  it('that hold already are read from the kernel', () => {
    const text = [
      'Limit                     Soft Limit           Hard Limit           Units     ',
      'Max data size             unlimited            unlimited            bytes     ',
      'Max processes             63204                63205                processes ',
      'Max open files            1024                 524288               files     ',
    ].join('\n');
    expect(readCeilings(text)).toEqual({ nproc: 63_205, nofile: 524_288 });
  });
});
