// The run: every target on every route, interleaved in rounds so that a busy minute of the machine falls on all of them alike.

import type { Load } from './closed-loop.ts';
import { Contestant } from './contestant.ts';
import type { Options } from './options.ts';
import { installPeers, PEERS } from './peers.ts';
import type { LedgerCheck } from './portcullis-home.ts';
import { ROUTES } from './targets.ts';

export const LOADS: readonly Load[] = [
  { name: '100 B, 1 in flight', payloadBytes: 100, inFlight: 1 },
  { name: '100 B, 16 in flight', payloadBytes: 100, inFlight: 16 },
  { name: '100 B, 64 in flight', payloadBytes: 100, inFlight: 64 },
  { name: '10 KB, 16 in flight', payloadBytes: 10_000, inFlight: 16 },
  { name: '1 MB, 1 in flight', payloadBytes: 1_000_000, inFlight: 1 },
];

export interface Comparison {
  readonly contestants: readonly Contestant[];
  /** By route; only where Portcullis ran. */
  readonly ledgers: ReadonlyMap<string, LedgerCheck>;
  /** Why this run may not be believed; empty when it may. */
  readonly faults: readonly string[];
}

export async function compare(options: Options, progress: (text: string) => void): Promise<Comparison> {
  const contestants = ROUTES.flatMap((route) => options.targets.map((name) => new Contestant(name, route)));
  try {
    if (options.targets.some((name) => name in PEERS)) {
      progress('fetching the peers');
      const missing = installPeers();
      for (const contestant of contestants) if (contestant.name in PEERS) contestant.absent = missing;
    }
    for (let nth = 1; nth <= options.startUps; nth += 1) {
      progress(`start-up ${nth} of ${options.startUps}`);
      for (const contestant of contestants) await contestant.timeStartUp();
    }
    for (const contestant of contestants) {
      progress(`warming ${contestant.name} over ${contestant.route}`);
      await contestant.warmUp(options.warmUpSeconds);
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const route of ROUTES) {
        for (const load of LOADS) {
          progress(`round ${round} of ${options.rounds}: ${route}, ${load.name}`);
          for (const contestant of contestants)
            if (contestant.route === route) await contestant.measure(load, options.windowSeconds);
        }
      }
    }
    for (const contestant of contestants) contestant.readMemory();
    for (const contestant of contestants) await contestant.stop();
    progress('verifying the ledgers');
    const ledgers = new Map<string, LedgerCheck>();
    for (const { home, route, startUpsMs } of contestants) {
      if (home !== undefined && startUpsMs.length > 0) ledgers.set(route, home.checkLedgers());
    }
    return { contestants, ledgers, faults: faultsOf(contestants, ledgers) };
  } finally {
    for (const contestant of contestants) {
      await contestant.stop();
      contestant.home?.remove();
    }
  }
}

/** What is ours must answer rightly and leave a whole ledger. A peer that fails loses its row and nothing more. */
function faultsOf(contestants: readonly Contestant[], ledgers: ReadonlyMap<string, LedgerCheck>): string[] {
  const faults: string[] = [];
  for (const { name, route, absent, faults: byLoad, calls, home } of contestants) {
    if (name in PEERS) continue;
    if (absent !== undefined) faults.push(`${name} over ${route}: ${absent}`);
    for (const [load, fault] of byLoad) faults.push(`${name} over ${route}, ${load}: ${fault}`);
    const ledger = home === undefined ? undefined : ledgers.get(route);
    if (ledger === undefined) continue;
    if (!ledger.verified) faults.push(`the ledger of ${name} over ${route} does not verify: ${ledger.said}`);
    if (ledger.intents < calls)
      faults.push(`${name} over ${route} answered ${calls} calls and recorded ${ledger.intents} intents`);
    if (ledger.endings !== ledger.intents)
      faults.push(`${name} over ${route}: ${ledger.intents} intents, ${ledger.endings} endings`);
  }
  return faults;
}
