// Names that could be taken for each other: of tools across servers, and of servers. The gate never confuses them, because a name is always said with its
// server; people and models may. This finds what a reviewer should see, and decides nothing.

import type { JsonObject } from '../../domain/json.ts';
import { skeleton } from './confusables.ts';
import type { ServerDefinition } from './definition.ts';

export interface NamedServer {
  readonly server: string;
  readonly definition: Pick<ServerDefinition, 'tools' | 'instructions'>;
}

export interface LookAlike {
  /** `same`: spelled alike. `like`: looks alike. `near`: a letter or two apart. `mentions`: its text speaks of the other one. */
  readonly kind: 'same' | 'like' | 'near' | 'mentions';
  /** Of the server that is reviewed: a tool, or null for the server itself. */
  readonly tool: string | null;
  readonly other: { readonly server: string; readonly tool: string | null };
}

/** Shorter names are near each other by accident. */
const NEAR_FROM = 6;
const NEAR_FAR_FROM = 12;
/** A word of a text that is also a tool's name elsewhere: shorter ones are words of every text. */
const MENTIONED_FROM = 5;

/** What in `server` could be taken for something of the others. */
export function lookAlikes(server: NamedServer, others: readonly NamedServer[]): readonly LookAlike[] {
  const found: LookAlike[] = [];
  for (const other of others) {
    if (other.server === server.server) continue;
    const alike = likeness(server.server, other.server);
    if (alike !== undefined) found.push({ kind: alike, tool: null, other: { server: other.server, tool: null } });
    const names = namesOf(other);
    for (const tool of server.definition.tools) {
      const name = String(tool.name);
      for (const another of names) {
        const kind = likeness(name, another);
        if (kind !== undefined) found.push({ kind, tool: name, other: { server: other.server, tool: another } });
      }
      found.push(...mentions(tool, name, other, names));
    }
    const said = wordsOf(server.definition.instructions ?? '');
    for (const another of names) {
      if (isMentioned(another, said))
        found.push({ kind: 'mentions', tool: null, other: { server: other.server, tool: another } });
    }
  }
  return found;
}

function mentions(tool: JsonObject, name: string, { server }: NamedServer, names: readonly string[]): LookAlike[] {
  const words = wordsOf(JSON.stringify({ ...tool, name: '' }));
  return names
    .filter((another) => another !== name && isMentioned(another, words))
    .map((another) => ({ kind: 'mentions', tool: name, other: { server, tool: another } }));
}

function isMentioned(name: string, words: ReadonlySet<string>): boolean {
  return name.length >= MENTIONED_FROM && /[_\-.A-Z]/.test(name.slice(1)) && words.has(name);
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.match(/[\p{L}\p{N}_.-]+/gu)?.flatMap((word) => [word, word.replace(/[.-]+$/, '')]));
}

function namesOf({ definition }: NamedServer): readonly string[] {
  return definition.tools.map(({ name }) => String(name));
}

function likeness(one: string, other: string): 'same' | 'like' | 'near' | undefined {
  if (one === other) return 'same';
  const [a, b] = [skeleton(one), skeleton(other)];
  if (a === b && a !== '') return 'like';
  const shorter = Math.min(a.length, b.length);
  const far = shorter >= NEAR_FAR_FROM ? 2 : shorter >= NEAR_FROM ? 1 : 0;
  return far > 0 && distance(a, b, far) <= far ? 'near' : undefined;
}

/** Letters to put in, take away or exchange to make one of the other; a number above `max` where it is more than that. */
function distance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const exchanged = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(exchanged, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    if (Math.min(...next) > max) return max + 1;
    row = next;
  }
  return row[b.length] ?? max + 1;
}
