// Where the time goes: Portcullis under V8's sampling profiler while it carries calls, summed by our folders and by what they stand on.
// Self time of native code (signatures, file writes, the policy engine's wasm) falls on the function that called it. The profiler costs
// time itself, so read shares here and figures in the comparison.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { closedLoop } from './closed-loop.ts';
import { LOCAL, ROOT } from './places.ts';
import { PortcullisHome } from './portcullis-home.ts';
import { table } from './report.ts';
import { startTarget } from './running-target.ts';
import { ROUTES, type Route } from './targets.ts';

const OURS = ['domain', 'state-machines', 'control-plane', 'proxy', 'ledger', 'adapters', 'cli'];

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface LayerShare {
  readonly thread: string;
  readonly layer: string;
  readonly micros: number;
}

/** Runs 100-byte calls at 16 in flight on each route and returns the self time per call, by thread and layer. */
export async function profileLayers(
  seconds: number,
  progress: (text: string) => void,
): Promise<Map<Route, LayerShare[]>> {
  const found = new Map<Route, LayerShare[]>();
  for (const route of ROUTES) {
    progress(`profiling Portcullis over ${route}`);
    found.set(route, await profileRoute(route, seconds));
  }
  return found;
}

async function profileRoute(route: Route, seconds: number): Promise<LayerShare[]> {
  const folder = join(LOCAL, 'profiles', route);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const home = new PortcullisHome();
  try {
    const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
    const running = await startTarget('portcullis', route, home, nodeFlags);
    if (running === undefined) return [];
    const load = { name: 'layers', payloadBytes: 100, inFlight: 16 };
    const measured = await closedLoop(running.client, load, seconds).finally(() => running.stop());
    const profiles = readdirSync(folder)
      .filter((name) => name.endsWith('.cpuprofile'))
      .sort();
    if (profiles.length === 0) throw new Error('no profile was written: the process did not end by itself');
    return profiles.flatMap((name) => {
      const profile = JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile; // Written by V8.
      const thread = /\.(\d+)\.\d+\.cpuprofile$/.exec(name)?.[1] === '0' ? 'main thread' : 'worker thread';
      return summarise(profile, ROOT).map(({ layer, micros }) => ({ thread, layer, micros: micros / measured.calls }));
    });
  } finally {
    home.remove();
  }
}

/** Self time by layer, largest first. Idle time is left out. */
export function summarise(profile: CpuProfile, root: string): { layer: string; micros: number }[] {
  const layers = new Map(profile.nodes.map((node) => [node.id, layerOf(node.callFrame, root)]));
  const sums = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const layer = layers.get(id) ?? '(unknown)';
    sums.set(layer, (sums.get(layer) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  sums.delete('(idle)');
  return [...sums].map(([layer, micros]) => ({ layer, micros })).sort((a, b) => b.micros - a.micros);
}

function layerOf(frame: { functionName: string; url: string }, root: string): string {
  const { functionName, url } = frame;
  const inModules = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (inModules !== undefined) return `dependencies: ${inModules}`;
  if (url.startsWith('wasm:')) return 'dependencies: WebAssembly';
  if (url.startsWith('node:')) return `node: ${/^node:(?:internal\/)?([a-z0-9_]+)/.exec(url)?.[1] ?? 'other'}`;
  const path = url.replace(/^file:\/\//, '').replace(`${root}/dist/`, '');
  const folder = path.split('/')[0] ?? '';
  if (OURS.includes(folder)) return `ours: ${folder}`;
  if (functionName.startsWith('(') && url === '') return functionName;
  return url === '' ? 'node: native' : 'other';
}

export function layerTables(found: ReadonlyMap<Route, readonly LayerShare[]>): string {
  return [...found]
    .map(([route, shares]) => {
      const total = shares.reduce((sum, share) => sum + share.micros, 0);
      const rows = shares
        .filter((share) => share.micros / total >= 0.005)
        .map(({ thread, layer, micros }) => [
          layer,
          thread,
          micros.toFixed(1),
          `${((100 * micros) / total).toFixed(1)} %`,
        ]);
      const head = `Portcullis over ${route}, 100 B, 16 in flight: ${total.toFixed(0)} µs a call under the profiler`;
      return `${head}\n${table([['layer', 'thread', 'µs/call', 'share'], ...rows])}\n`;
    })
    .join('\n');
}
