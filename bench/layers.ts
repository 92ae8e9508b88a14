// Where the time goes: Portcullis under V8's sampling profiler while it carries calls, summed by our folders and by what they stand on.
// Native code (signatures, file writes) is charged to the module that called it. Only the main thread can be profiled: the deciding one is
// ended from outside and writes no profile, so the kernel's count of CPU by thread stands beside it.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { closedLoop } from './closed-loop.ts';
import { LOCAL, ROOT } from './places.ts';
import { PortcullisHome } from './portcullis-home.ts';
import { table } from './report.ts';
import { startTarget } from './running-target.ts';
import { ROUTES, type Route } from './targets.ts';

const OURS = ['domain', 'state-machines', 'control-plane', 'proxy', 'ledger', 'adapters', 'cli'];
const WARM_UP_SECONDS = 2;
const FUNCTIONS_SHOWN = 15;
const SMALLEST_SHARE_SHOWN = 0.005;

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly name: string;
  readonly micros: number;
}

export interface LayerProfile {
  /** Self time on the main thread, by layer and by function, largest first. */
  readonly layers: readonly Share[];
  readonly functions: readonly Share[];
  /** CPU by thread for one call, as the kernel counts it; the main thread first. Empty where the kernel does not show it. */
  readonly threads: readonly Share[];
}

/** Runs 100-byte calls at 16 in flight on each route. All figures are microseconds a call. */
export async function profileLayers(
  seconds: number,
  progress: (text: string) => void,
): Promise<Map<Route, LayerProfile>> {
  const found = new Map<Route, LayerProfile>();
  for (const route of ROUTES) {
    progress(`profiling Portcullis over ${route}`);
    found.set(route, await profileRoute(route, seconds));
  }
  return found;
}

async function profileRoute(route: Route, seconds: number): Promise<LayerProfile> {
  const folder = join(LOCAL, 'profiles', route);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const home = new PortcullisHome();
  try {
    const running = await startTarget('portcullis', route, home, ['--cpu-prof', `--cpu-prof-dir=${folder}`]);
    if (running === undefined) throw new Error('Portcullis does not offer this route');
    const load = { name: 'layers', payloadBytes: 100, inFlight: 16 };
    let calls = 0;
    let threads: Share[] = [];
    try {
      calls += (await closedLoop(running.client, load, WARM_UP_SECONDS)).calls;
      const before = running.threads();
      const measured = await closedLoop(running.client, load, seconds);
      calls += measured.calls;
      threads = running.threads().map(({ name, cpuMicros }) => {
        const used = cpuMicros - (before.find((thread) => thread.name === name)?.cpuMicros ?? 0);
        return { name, micros: used / measured.calls };
      });
    } finally {
      await running.stop();
    }
    const file = readdirSync(folder).find((name) => /\.0\.\d+\.cpuprofile$/.test(name)); // Thread 0 is the main one.
    if (file === undefined) throw new Error('no profile was written: the process did not end by itself');
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile; // Written by V8.
    const perCall = (shares: readonly Share[]): Share[] =>
      shares.map(({ name, micros }) => ({ name, micros: micros / calls }));
    return {
      layers: perCall(selfTime(profile, ROOT, 'layer')),
      functions: perCall(selfTime(profile, ROOT, 'function')),
      threads,
    };
  } finally {
    home.remove();
  }
}

/** Self time, largest first, by layer or by function. Idle time is left out. */
export function selfTime(profile: CpuProfile, root: string, by: 'layer' | 'function'): Share[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)),
  );
  /** The frame that has a file: the node's own, or that of whoever called the native code. */
  const placed = (node: ProfileNode): ProfileNode => {
    const parent = nodes.get(parents.get(node.id) ?? -1);
    if (node.callFrame.url !== '' || parent === undefined || parent.callFrame.functionName === '(root)') return node;
    return placed(parent);
  };
  const sums = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const node = nodes.get(id);
    if (node === undefined || node.callFrame.functionName === '(idle)') return;
    const place = placed(node);
    const layer = layerOf(place.callFrame, root);
    const name =
      by === 'layer' ? layer : `${node.callFrame.functionName || '(anonymous)'} in ${placeOf(place.callFrame, root)}`;
    sums.set(name, (sums.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  return [...sums].map(([name, micros]) => ({ name, micros })).sort((a, b) => b.micros - a.micros);
}

function placeOf({ url }: { url: string }, root: string): string {
  return url === ''
    ? 'the engine'
    : url
        .replace(/^file:\/\//, '')
        .replace(`${root}/`, '')
        .replace(/^dist\//, '');
}

function layerOf(frame: { functionName: string; url: string }, root: string): string {
  const { functionName, url } = frame;
  const inModules = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (inModules !== undefined) return `dependencies: ${inModules}`;
  if (url.startsWith('wasm:')) return 'dependencies: WebAssembly';
  if (url.startsWith('node:')) return `node: ${/^node:(?:internal\/)?([a-z0-9_]+)/.exec(url)?.[1] ?? 'other'}`;
  const folder = placeOf(frame, root).split('/')[0] ?? '';
  if (OURS.includes(folder)) return `ours: ${folder}`;
  return url === '' && functionName.startsWith('(') ? functionName : 'other';
}

export function layerTables(found: ReadonlyMap<Route, LayerProfile>): string {
  const parts: string[] = [];
  for (const [route, { layers, functions, threads }] of found) {
    const total = layers.reduce((sum, share) => sum + share.micros, 0);
    const rows = (shares: readonly Share[]): string[][] =>
      shares.map(({ name, micros }) => [name, micros.toFixed(1), `${((100 * micros) / total).toFixed(1)} %`]);
    const shown = layers.filter((share) => share.micros / total >= SMALLEST_SHARE_SHOWN);
    parts.push(
      `Portcullis over ${route}, 100 B, 16 in flight: ${total.toFixed(0)} µs a call on the main thread, under the profiler`,
    );
    parts.push(table([['layer', 'µs/call', 'share'], ...rows(shown)]), '');
    parts.push(table([['function, self time', 'µs/call', 'share'], ...rows(functions.slice(0, FUNCTIONS_SHOWN))]), '');
    const busy = threads
      .filter((thread) => thread.micros >= 1)
      .map(({ name, micros }) => [name, micros.toFixed(0), '']);
    if (busy.length > 0) parts.push(table([['CPU by thread, from the kernel', 'µs/call', ''], ...busy]), '');
  }
  return `${parts.join('\n')}\n`;
}
