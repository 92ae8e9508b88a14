// A run as tables for people and as JSON for programs. Both say the same; neither says what is not measured.

import { cpus } from 'node:os';
import { type Comparison, LOADS } from './comparison.ts';
import type { Contestant, Window } from './contestant.ts';
import { median } from './quantile.ts';
import { ROUTES, type Route } from './targets.ts';

const HEADINGS = ['target', 'calls/s', 'of direct', 'of relay', 'p50 ms', 'p99 ms', 'CPU µs/call'];

export interface Figures {
  readonly rounds: number;
  readonly calls: number;
  readonly callsPerSecond: number;
  /** Median over the rounds of the ratio taken within each round. */
  readonly ofDirect: number | undefined;
  readonly ofRelay: number | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly proxyCpuMicrosPerCall: number | undefined;
  readonly toolCpuMicrosPerCall: number | undefined;
}

export function asJson(run: Comparison): string {
  const rows = run.contestants.map((contestant) => ({
    target: contestant.name,
    route: contestant.route,
    absent: contestant.absent ?? null,
    startUpMs: contestant.startUpsMs.length === 0 ? null : median(contestant.startUpsMs),
    residentBytes: contestant.residentBytes ?? null,
    calls: contestant.calls,
    loads: LOADS.map((load) => ({
      ...load,
      fault: contestant.faults.get(load.name) ?? null,
      figures: figures(run, contestant, load.name) ?? null,
    })),
  }));
  return JSON.stringify(
    { machine: machine(), rows, ledgers: Object.fromEntries(run.ledgers), faults: run.faults },
    undefined,
    2,
  );
}

export function asTables(run: Comparison): string {
  const parts = [machineLine()];
  for (const route of ROUTES) {
    const here = run.contestants.filter((contestant) => contestant.route === route);
    parts.push(route === 'http' ? '\nStreamable HTTP → stdio tool server' : '\nstdio → stdio tool server');
    for (const load of LOADS) {
      parts.push(`\n${load.name}`, table([HEADINGS, ...here.map((contestant) => row(run, contestant, load.name))]));
    }
    parts.push(
      '\nstart-up to the first answered call, memory at the end',
      table([['target', 'ms', 'RSS MB', 'calls'], ...here.map(lifeRow)]),
    );
  }
  for (const [route, ledger] of run.ledgers) {
    const verdict = ledger.verified ? 'verifies' : 'DOES NOT VERIFY';
    parts.push(
      `\nPortcullis over ${route}: its ledger ${verdict}; ${ledger.intents} intents, ${ledger.endings} endings`,
    );
  }
  if (run.faults.length > 0)
    parts.push('\nThis run may not be believed:', ...run.faults.map((fault) => `- ${oneLine(fault)}`));
  return `${parts.join('\n')}\n`;
}

function figures(run: Comparison, contestant: Contestant, load: string): Figures | undefined {
  const windows = contestant.windows.get(load);
  if (windows === undefined || contestant.faults.has(load)) return undefined;
  const calls = sum(windows.map((window) => window.calls));
  const perCall = (of: (window: Window) => number | undefined): number | undefined => {
    const used = windows.map(of).filter((micros) => micros !== undefined);
    return used.length === windows.length ? sum(used) / calls : undefined;
  };
  return {
    rounds: windows.length,
    calls,
    callsPerSecond: median(windows.map((window) => window.callsPerSecond)),
    ofDirect: ratio(windows, scale(run, contestant.route, 'direct', load)),
    ofRelay: ratio(windows, scale(run, contestant.route, 'raw-relay', load)),
    p50Ms: median(windows.map((window) => window.p50Ms)),
    p99Ms: median(windows.map((window) => window.p99Ms)),
    proxyCpuMicrosPerCall: perCall((window) => window.proxyCpuMicros),
    toolCpuMicrosPerCall: perCall((window) => window.toolCpuMicros),
  };
}

function scale(run: Comparison, route: Route, name: string, load: string): readonly Window[] {
  return (
    run.contestants.find((contestant) => contestant.name === name && contestant.route === route)?.windows.get(load) ??
    []
  );
}

/** Compares only what was measured in the same round. */
function ratio(windows: readonly Window[], against: readonly Window[]): number | undefined {
  const pairs = windows.flatMap((window, round) => {
    const other = against[round];
    return other === undefined ? [] : [window.callsPerSecond / other.callsPerSecond];
  });
  return pairs.length === 0 ? undefined : median(pairs);
}

function row(run: Comparison, contestant: Contestant, load: string): string[] {
  const fault = contestant.absent ?? contestant.faults.get(load);
  const found = fault === undefined ? figures(run, contestant, load) : undefined;
  if (found === undefined) return [contestant.name, oneLine(fault ?? 'not measured')];
  return [
    contestant.name,
    Math.round(found.callsPerSecond).toLocaleString('en'),
    found.ofDirect?.toFixed(3) ?? '-',
    found.ofRelay?.toFixed(3) ?? '-',
    found.p50Ms.toFixed(2),
    found.p99Ms.toFixed(1),
    contestant.name === 'direct' ? '-' : (found.proxyCpuMicrosPerCall?.toFixed(0) ?? '-'),
  ];
}

function lifeRow(contestant: Contestant): string[] {
  const { name, absent, startUpsMs, residentBytes, calls } = contestant;
  if (absent !== undefined) return [name, oneLine(absent)];
  const memory = residentBytes === undefined ? '-' : (residentBytes / 1e6).toFixed(0);
  return [name, startUpsMs.length === 0 ? '-' : median(startUpsMs).toFixed(0), memory, calls.toLocaleString('en')];
}

/** The first column is text and the rest are figures; a row of two cells is a name and a remark. */
export function table(rows: readonly (readonly string[])[]): string {
  const full = rows.filter((cells) => cells.length > 2);
  const widths = (full[0] ?? []).map((_, column) => Math.max(...full.map((cells) => cells[column]?.length ?? 0)));
  const nameWidth = Math.max(...rows.map((cells) => cells[0]?.length ?? 0));
  const line = (cells: readonly string[]): string => {
    const [name = '', ...rest] = cells;
    if (cells.length === 2) return `  ${name.padEnd(nameWidth)}  ${rest.join('')}`;
    return `  ${name.padEnd(nameWidth)}${rest.map((cell, column) => `  ${cell.padStart(widths[column + 1] ?? 0)}`).join('')}`;
  };
  return rows.map(line).join('\n');
}

/** Answers of a failed target are shown, not trusted: no line breaks or control characters, and not a page of them. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, 160);
}

function machine(): { node: string; platform: string; cpu: string; cores: number; at: string } {
  const cores = cpus();
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    at: new Date().toISOString(),
  };
}

function machineLine(): string {
  const { node, platform, cpu, cores, at } = machine();
  return `Node ${node}, ${platform}, ${cores} × ${cpu}, ${at}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
