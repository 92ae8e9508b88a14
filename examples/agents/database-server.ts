// An MCP server on standard input and output with a real PostgreSQL behind it (in this process, its files in the folder given). What comes from a
// caller reaches the database as parameters, names of tables and columns only if there are such.

import { PGlite } from '@electric-sql/pglite';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import * as z from 'zod';

const LOOK_EVERY_MS = 50;
const WAIT_MS = 25_000;

/** Who is only asked what it offers needs no database; who stays has it before the first question. */
const OPENS_AFTER_MS = 1_000;
const opened: { db?: Promise<PGlite> } = {};

function database(): Promise<PGlite> {
  opened.db ??= PGlite.create(process.argv[2] ?? 'memory://');
  return opened.db;
}

const WHERE = { table: z.string(), column: z.string(), equals: z.string() };
type Where = Readonly<Record<keyof typeof WHERE, string>>;

async function count({ table, column, equals }: Where): Promise<number> {
  const db = await database();
  const known = await db.query(
    `select 1 from information_schema.columns where table_schema = 'public' and table_name = $1 and column_name = $2`,
    [table, column],
  );
  if (known.rows.length === 0) throw new Error('there is no such table or column');
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::integer as n from "${table}" where "${column}"::text = $1`,
    [equals],
  );
  return rows[0]?.n ?? 0;
}

/** Asked again, both answer again and change nothing: who is denied or cut off may come back. */
const annotations = { readOnlyHint: true };
const answer = (rows: number) => ({ content: [{ type: 'text' as const, text: `${rows} rows` }] });
const server = new McpServer({ name: 'database', version: '1.0.0' });
server.registerTool(
  'count_rows',
  { description: 'How many rows of a table have this value.', inputSchema: WHERE, annotations },
  async (where) => answer(await count(where)),
);
server.registerTool(
  'wait_for_rows',
  {
    description: 'Waits until so many rows have this value.',
    inputSchema: { ...WHERE, atLeast: z.number() },
    annotations,
  },
  async ({ atLeast, ...where }, { signal }) => {
    const until = Date.now() + WAIT_MS;
    process.stderr.write('waiting\n');
    while (!signal.aborted && Date.now() < until) {
      const rows = await count(where);
      if (rows >= atLeast) return answer(rows);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    if (signal.aborted) process.stderr.write('cancelled\n');
    throw new Error('not that many');
  },
);
process.stdin.on('end', () => process.exit(0));
await server.connect(new StdioServerTransport());
setTimeout(() => void database(), OPENS_AFTER_MS);
