// The sums behind `npm run bench -- --layers`.

import { expect, it } from 'vitest';
import { type CpuProfile, summarise } from '../../../bench/layers.ts';

function node(id: number, url: string, functionName = 'f'): CpuProfile['nodes'][number] {
  return { id, callFrame: { functionName, url } };
}

it('sums self time by our folders, by dependency and by part of Node, and leaves idle time out', () => {
  const nodes = [
    node(1, 'file:///repo/dist/proxy/gate.js'),
    node(2, 'file:///repo/dist/ledger/tree.js'),
    node(3, 'file:///repo/node_modules/@cedar-policy/cedar-wasm/nodejs/cedar_wasm.js'),
    node(4, 'wasm://wasm/1234'),
    node(5, 'node:internal/crypto/sig'),
    node(6, '', '(idle)'),
    node(7, '', '(garbage collector)'),
    node(8, 'file:///repo/dist/proxy/runner.js'),
  ];
  const profile = { nodes, samples: [1, 2, 3, 4, 5, 6, 7, 8, 8], timeDeltas: [10, 20, 30, 40, 50, 1000, 60, 1, 4] };
  expect(summarise(profile, '/repo')).toEqual([
    { layer: '(garbage collector)', micros: 60 },
    { layer: 'node: crypto', micros: 50 },
    { layer: 'dependencies: WebAssembly', micros: 40 },
    { layer: 'dependencies: @cedar-policy/cedar-wasm', micros: 30 },
    { layer: 'ours: ledger', micros: 20 },
    { layer: 'ours: proxy', micros: 15 },
  ]);
});
