// portcullis log: what happened, one line for each fact.

import { readEntries } from '../../adapters/storage/ledger-reader.ts';
import { DENIALS, type DenialCode } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import type { Payload } from '../../ledger/vault.ts';
import { EXIT } from '../exit-codes.ts';
import { type LedgerFolder, ledgerOrNewest } from '../ledger-folder.ts';
import { CommandError, type Output } from '../output.ts';
import { commitmentsIn, openPayloads } from '../payloads.ts';

export interface LogOptions {
  readonly call?: string;
  readonly agent?: string;
  readonly server?: string;
  readonly tool?: string;
  readonly denied?: boolean;
  readonly since?: string;
  readonly last?: string;
  readonly follow?: boolean;
  readonly all?: boolean;
  readonly payloads?: boolean;
}

const FOLLOW_EVERY_MS = 300;

/** What a call's first entry said: endings name only the call. */
interface Known {
  readonly agent: string;
  readonly server: string;
  readonly tool: string;
  readonly method: string;
}

export async function log(path: string | undefined, options: LogOptions, out: Output): Promise<number> {
  const ledger = ledgerOrNewest(path);
  const since = options.since === undefined ? undefined : parseSince(options.since, Date.now());
  const last = options.last === undefined ? undefined : Number(options.last);
  if (last !== undefined && !(Number.isSafeInteger(last) && last > 0))
    throw new CommandError('--last takes a positive number', EXIT.usage);
  const known = new Map<string, Known>();
  const wanted = (entry: Entry): boolean => {
    const call = remember(known, entry);
    if (call === undefined)
      return options.all === true && isAbout(entry, options) && (since === undefined || entry.ts >= since);
    return (
      (options.call === undefined || entry.call === options.call) &&
      (options.agent === undefined || call.agent === options.agent) &&
      (options.server === undefined || call.server === options.server) &&
      (options.tool === undefined || call.tool === options.tool) &&
      (options.denied !== true || isDenial(entry)) &&
      (since === undefined || entry.ts >= since)
    );
  };
  let shown = -1;
  let selected: Entry[] = [];
  for await (const entry of readEntries(ledger.dir)) {
    shown = entry.seq;
    if (!wanted(entry)) continue;
    selected.push(entry);
    if (last !== undefined && selected.length > last) selected = selected.slice(-last);
  }
  await print(selected, known, ledger, options, out);
  while (options.follow === true && out.heard()) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
    const fresh: Entry[] = [];
    for await (const entry of readEntries(ledger.dir)) {
      if (entry.seq <= shown) continue;
      shown = entry.seq;
      if (wanted(entry)) fresh.push(entry);
    }
    await print(fresh, known, ledger, options, out);
  }
  return EXIT.ok;
}

/** What belongs to no call can belong to a server. */
function isAbout(entry: Entry, { call, agent, server, tool, denied }: LogOptions): boolean {
  if (call !== undefined || agent !== undefined || tool !== undefined || denied === true) return false;
  return server === undefined || entry.server === server;
}

function remember(known: Map<string, Known>, entry: Entry): Known | undefined {
  if (typeof entry.call !== 'string') return undefined;
  const [first] = eventsOf(entry);
  if (first?.type === 'call.requested') {
    const principal = isJsonObject(first.principal) ? first.principal : {};
    const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
    known.set(entry.call, {
      agent: text(principal.agent),
      server: text(first.server),
      tool: text(first.tool),
      method: text(first.method),
    });
  }
  return known.get(entry.call) ?? { agent: '?', server: '?', tool: '?', method: '?' };
}

function eventsOf(entry: Entry): readonly JsonObject[] {
  return Array.isArray(entry.events) ? (entry.events as readonly JsonObject[]) : [];
}

function isDenial(entry: Entry): boolean {
  const outcome = isJsonObject(entry.outcome) ? entry.outcome : {};
  return entry.type === 'call.denial' || (entry.type === 'call.ending' && outcome.code !== undefined);
}

async function print(
  entries: readonly Entry[],
  known: ReadonlyMap<string, Known>,
  ledger: LedgerFolder,
  options: LogOptions,
  out: Output,
): Promise<void> {
  const payloads = options.payloads === true ? await openPayloads(ledger, entries) : new Map<Digest, Payload>();
  if (payloads === undefined) throw new CommandError('the key of the vault is not here, so payloads cannot be shown');
  const shown = (entry: Entry): [string, string][] =>
    commitmentsIn(entry).flatMap((commitment) => {
      const payload = payloads.get(commitment);
      return payload === undefined ? [] : [[commitment, Buffer.from(payload.bytes).toString()]];
    });
  for (const entry of entries) {
    if (out.json) {
      out.answer(options.payloads === true ? { ...entry, payloads: Object.fromEntries(shown(entry)) } : entry);
      continue;
    }
    out.line(lineOf(entry, typeof entry.call === 'string' ? known.get(entry.call) : undefined, out));
    for (const [commitment, text] of shown(entry))
      out.line(`      ${commitment.slice(0, 18)}…  ${visibleText(text, 400)}`);
  }
}

function lineOf(entry: Entry, call: Known | undefined, out: Output): string {
  const head = `${String(entry.seq).padStart(6)}  ${entry.ts}`;
  if (call === undefined) return `${head}  ${visibleText(entry.type)}${about(entry)}`;
  const where =
    call.tool === '' ? visibleText(call.method, 60) : `${visibleText(call.server, 64)}/${visibleText(call.tool, 80)}`;
  return `${head}  ${visibleText(String(entry.call))}  ${visibleText(call.agent, 64)}  ${where}  ${verdict(entry, out)}`;
}

function about(entry: Entry): string {
  const named = entry.policy ?? entry.server ?? entry.after ?? entry.guard;
  if (entry.type === 'call.settled') return `  ${visibleText(String(entry.of))}  ${visibleText(String(entry.as))}`;
  const code = entry.type === 'gate.shut' ? `  ${visibleText(String(entry.code))}: ${tell(entry.code)}` : '';
  if (entry.type.startsWith('egress.')) return `  ${visibleText(String(entry.server), 64)}  ${egress(entry)}`;
  return typeof named === 'string' ? `  ${visibleText(named, 80)}${code}` : '';
}

/** What a server reached, or was kept from. */
function egress(entry: Entry): string {
  const where = entry.host === null ? '' : `${visibleText(String(entry.host), 120)}:${String(entry.port ?? '?')}`;
  switch (entry.type) {
    case 'egress.opened':
      return `${where} at ${visibleText(String(entry.address), 64)}  ${visibleText(String(entry.connection), 40)}`;
    case 'egress.closed':
      return `${visibleText(String(entry.connection), 40)}  ${visibleText(String(entry.end), 20)} after ${String(entry.ms)} ms, ${String(entry.sent)} bytes sent, ${String(entry.received)} received`;
    default:
      return `${where}  ${visibleText(String(entry.reason), 20)}${entry.count === 1 ? '' : `, ${String(entry.count)} times`}`;
  }
}

function verdict(entry: Entry, out: Output): string {
  const detail = eventsOf(entry).find((event) => typeof event.detail === 'string')?.detail;
  const because = typeof detail === 'string' ? `  (${visibleText(detail, 160)})` : '';
  switch (entry.type) {
    case 'call.intent': {
      const decision = eventsOf(entry).find((event) => event.type === 'decision.allowed');
      const by = Array.isArray(decision?.by) ? decision.by.join(', ') : '';
      return `${out.style('cyan', 'permitted')} by ${visibleText(by, 120)}`;
    }
    case 'call.denial':
      return `${out.style('yellow', 'denied')} ${visibleText(String(entry.code))}: ${tell(entry.code)}${because}`;
    case 'call.ending': {
      const outcome = isJsonObject(entry.outcome) ? entry.outcome : {};
      const answered = eventsOf(entry).find((event) => typeof event.ms === 'number');
      const took = answered === undefined ? '' : ` after ${String(answered.ms)} ms`;
      const code = outcome.code === undefined ? '' : ` ${visibleText(String(outcome.code))}`;
      return `${out.style(code === '' ? 'green' : 'yellow', visibleText(String(outcome.status)))}${code}${took}${because}`;
    }
    default:
      return visibleText(entry.type);
  }
}

function tell(code: Json | undefined): string {
  return typeof code === 'string' && code in DENIALS
    ? DENIALS[code as DenialCode].told
    : 'a code that this version does not know';
}

/** RFC 3339 or an age, as a timestamp that compares with those of entries. */
function parseSince(text: string, now: number): string {
  const age = /^(\d+)([smhd])$/.exec(text);
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[age?.[2] ?? ''] ?? 0;
  const at = age === null ? Date.parse(text) : now - Number(age[1]) * unit;
  if (Number.isNaN(at))
    throw new CommandError(`"${text}" is not a time`, EXIT.usage, ['write 2026-11-21T09:00:00Z, or 10m, 2h, 3d']);
  return new Date(at).toISOString();
}
