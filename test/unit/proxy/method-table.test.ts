// The table against the specification: every method of every published revision has a row, and no row names what nobody published.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GOVERNED_METHODS, isGovernedMethod } from '../../../domain/action.ts';
import {
  isServedRevision,
  LATEST_REVISION,
  lookupMethod,
  METHOD_ROWS,
  type MessageKind,
  MODERN_REVISION,
  SERVED_REVISIONS,
  type Sender,
} from '../../../proxy/method-table.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { vectors } from '../../support/vectors.ts';

const REVISIONS = [...SERVED_REVISIONS, MODERN_REVISION] as const;

const UNIONS: readonly (readonly [string, Sender, MessageKind])[] = [
  ['ClientRequest', 'client', 'request'],
  ['ClientNotification', 'client', 'notification'],
  ['ServerRequest', 'server', 'request'],
  ['ServerNotification', 'server', 'notification'],
];

const ERAS: readonly Era[] = ['legacy', 'modern'];

/** Of io.modelcontextprotocol/tasks, which is specified beside the revisions. */
const OF_AN_EXTENSION = ['client request tasks/update', 'server notification notifications/tasks'];

function eraOf(revision: string): Era {
  return revision === MODERN_REVISION ? 'modern' : 'legacy';
}

interface Schema {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly properties?: { readonly method?: { readonly const?: string } };
}

function schemaOf(revision: string): Readonly<Record<string, Schema>> | undefined {
  const path = vectors(`mcp-schema/${revision}/schema.json`);
  if (path === undefined) return undefined;
  const schema = JSON.parse(readFileSync(path, 'utf8')) as Record<'$defs' | 'definitions', Record<string, Schema>>;
  return schema.$defs ?? schema.definitions;
}

/** The methods in a union, followed through every reference. */
function methodsIn(definitions: Readonly<Record<string, Schema>>, schema: Schema | undefined): string[] {
  if (schema === undefined) return [];
  const name = schema.$ref?.split('/').at(-1);
  const referred = name === undefined ? [] : methodsIn(definitions, definitions[name]);
  const own = schema.properties?.method?.const;
  const parts = (schema.anyOf ?? []).flatMap((part) => methodsIn(definitions, part));
  return [...referred, ...parts, ...(own === undefined ? [] : [own])];
}

function published(revision: string): readonly (readonly [Sender, MessageKind, string])[] | undefined {
  const definitions = schemaOf(revision);
  if (definitions === undefined) return undefined;
  return UNIONS.flatMap(([union, sender, kind]) =>
    methodsIn(definitions, definitions[union]).map((method) => [sender, kind, method] as const),
  );
}

const here = schemaOf('2025-11-25') !== undefined;

/** Requests whose result is what a server has, or is. */
const DESCRIBING = /^(initialize|server\/discover|.*\/list)$/;

describe.skipIf(!here)(here ? 'the published schemas' : 'the published schemas (shared vectors are not here)', () => {
  proves('G8', 'are those of the revisions that we know: another one is not served unread', () => {
    const folder = vectors('mcp-schema') ?? '';
    const all = readdirSync(folder).filter((name) => existsSync(`${folder}/${name}/schema.json`));
    expect(all.sort()).toEqual([...REVISIONS].sort());
  });

  proves('G8', 'let a server ask within its answer what we govern, and nothing else', () => {
    const definitions = schemaOf(MODERN_REVISION) ?? {};
    const questions = methodsIn(definitions, definitions.InputRequest);
    const governed = Object.entries(GOVERNED_METHODS).filter(([, direction]) => direction === 'server to client');
    expect(questions.sort()).toEqual(governed.map(([method]) => method).sort());
  });

  for (const revision of REVISIONS) {
    proves('G9', `whatever a server of ${revision} has or says unasked is filtered, or told by us`, () => {
      const telling = (published(revision) ?? []).filter(
        ([sender, kind, method]) =>
          (sender === 'server' && kind === 'notification') ||
          (sender === 'client' && kind === 'request' && DESCRIBING.test(method)),
      );
      expect(telling.length).toBeGreaterThan(8);
      const passed = telling.filter((each) => {
        const row = lookupMethod(eraOf(revision), ...each);
        return row === undefined || row.action === 'govern';
      });
      expect(passed).toEqual([]);
    });

    proves('G8', `every method of ${revision} has a row, in both directions`, () => {
      const methods = published(revision) ?? [];
      expect(methods.length).toBeGreaterThan(15);
      const missing = methods.filter((each) => lookupMethod(eraOf(revision), ...each) === undefined);
      expect(missing).toEqual([]);
    });
  }

  it('have no union of messages that this test does not read', () => {
    for (const revision of REVISIONS) {
      const definitions = schemaOf(revision) ?? {};
      const read = new Set((published(revision) ?? []).map(([, , method]) => method));
      // Whatever carries a constant method anywhere in the schema. Requests inside of results go by the same names.
      const all = Object.values(definitions).flatMap(({ properties }) => properties?.method?.const ?? []);
      const unread = all.filter((method) => !read.has(method));
      const known = unread.filter((method) => METHOD_ROWS.some((row) => row.method === method));
      expect(unread, revision).toEqual(known);
    }
  });

  proves('G8', 'no row is for a method that no revision has', () => {
    const all = new Set(REVISIONS.flatMap((revision) => (published(revision) ?? []).map((each) => each.join(' '))));
    const rows = METHOD_ROWS.map(({ sender, kind, method }) => `${sender} ${kind} ${method}`);
    expect(rows.filter((row) => !all.has(row) && !OF_AN_EXTENSION.includes(row))).toEqual([]);
  });
});

describe('the table', () => {
  it('has each message once', () => {
    const keys = METHOD_ROWS.map(({ era, sender, kind, method }) => `${era} ${sender} ${kind} ${method}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  proves('G8', 'what reaches a tool or a client runs through the whole machine, and nothing else does', () => {
    const governed = METHOD_ROWS.filter(({ action }) => action === 'govern');
    for (const { method, sender, kind } of governed) {
      expect(kind).toBe('request');
      expect(isGovernedMethod(method) && GOVERNED_METHODS[method], method).toBe(
        sender === 'client' ? 'client to server' : 'server to client',
      );
    }
    expect(new Set(governed.map(({ method }) => method))).toEqual(new Set(Object.keys(GOVERNED_METHODS)));
  });

  proves('G8', 'whatever a server asks of a client is governed or denied, but for a ping', () => {
    const asked = METHOD_ROWS.filter(({ sender, kind }) => sender === 'server' && kind === 'request');
    expect(asked.filter(({ action }) => action !== 'deny' && action !== 'govern').map(({ method }) => method)).toEqual([
      'ping',
    ]);
  });

  it.each([
    'Tools/call',
    'tools/Call',
    'TOOLS/CALL',
    ' tools/call',
    'tools/call ',
    'tools/call\n',
    'tools//call',
    'tools/call/',
    'tools\u2215call',
    'tооls/call',
    '',
    'toString',
    '__proto__',
    'constructor',
    'request tools/call',
  ])('knows no %j', (method) => {
    for (const era of ERAS) expect(lookupMethod(era, 'client', 'request', method)).toBeUndefined();
  });

  it('tells kinds and senders apart', () => {
    for (const era of ERAS) {
      expect(lookupMethod(era, 'client', 'notification', 'tools/call')).toBeUndefined();
      expect(lookupMethod(era, 'server', 'request', 'tools/call')).toBeUndefined();
      expect(lookupMethod(era, 'client', 'request', 'notifications/cancelled')).toBeUndefined();
    }
  });

  it('serves four revisions, and offers the last to whoever asks for another', () => {
    expect(SERVED_REVISIONS).toEqual(['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']);
    expect(LATEST_REVISION).toBe('2025-11-25');
    for (const other of ['2026-07-28', '2024-10-07', '', '2025-11-25 ', 'DRAFT'])
      expect(isServedRevision(other)).toBe(false);
  });
});
