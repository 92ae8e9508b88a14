// The sums behind `npm run bench -- --layers`.

import { expect, it } from 'vitest';
import { type CpuProfile, selfTime } from '../../../bench/layers.ts';

function node(id: number, url: string, functionName = 'f', children: number[] = []): CpuProfile['nodes'][number] {
  return { id, callFrame: { functionName, url }, children };
}

const nodes = [
  node(0, '', '(root)', [1, 6, 7]),
  node(1, 'file:///repo/dist/proxy/gate.js', 'verify', [2, 3, 5, 9]),
  node(2, 'file:///repo/dist/ledger/tree.js', 'hash'),
  node(3, 'file:///repo/node_modules/@cedar-policy/cedar-wasm/nodejs/cedar_wasm.js', 'decide', [4]),
  node(4, 'wasm://wasm/1234', 'wasm-function[7]'),
  node(5, 'node:internal/crypto/sig', 'verifyOneShot', [8]),
  node(6, '', '(idle)'),
  node(7, '', '(garbage collector)'),
  node(8, '', 'nativeVerify'),
  node(9, '', 'sort'),
];
const profile = { nodes, samples: [1, 2, 3, 4, 5, 6, 7, 8, 9, 9], timeDeltas: [10, 20, 30, 40, 50, 1000, 60, 1, 2, 4] };

it('sums self time by our folders, by dependency and by part of Node, and leaves idle time out', () => {
  expect(selfTime(profile, '/repo', 'layer')).toEqual([
    { name: '(garbage collector)', micros: 60 },
    { name: 'node: crypto', micros: 51 },
    { name: 'dependencies: WebAssembly', micros: 40 },
    { name: 'dependencies: @cedar-policy/cedar-wasm', micros: 30 },
    { name: 'ours: ledger', micros: 20 },
    { name: 'ours: proxy', micros: 16 },
  ]);
});

it('names functions, and charges native ones to the file that called them', () => {
  expect(selfTime(profile, '/repo', 'function')).toContainEqual({ name: 'sort in proxy/gate.js', micros: 6 });
  expect(selfTime(profile, '/repo', 'function')).toContainEqual({
    name: 'nativeVerify in node:internal/crypto/sig',
    micros: 1,
  });
});
