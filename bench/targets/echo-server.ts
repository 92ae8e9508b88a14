// The tool behind every target: a minimal MCP server with one tool, over stdio or (with --http PORT) over Streamable HTTP.
// It does as little as the protocol allows, so that what is measured is what stands in front of it. It is not an example of a server.

import { createServer } from 'node:http';
import { LineReader } from '../line-reader.ts';

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: {
    readonly protocolVersion?: string;
    readonly name?: string;
    readonly arguments?: { text?: unknown };
  };
}

const TOOL = {
  name: 'echo',
  description: 'Answers with the text it was given',
  inputSchema: {
    type: 'object',
    properties: { text: { type: 'string' } },
    required: ['text'],
    additionalProperties: false,
  },
};

function answer(message: Message): unknown {
  switch (message.method) {
    case 'initialize':
      return {
        protocolVersion: message.params?.protocolVersion ?? '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'bench-echo', version: '1.0.0' },
      };
    case 'ping':
      return {};
    case 'tools/list':
      return { tools: [TOOL] };
    case 'tools/call':
      if (message.params?.name !== TOOL.name) return undefined;
      return { content: [{ type: 'text', text: message.params.arguments?.text }] };
    default:
      return undefined;
  }
}

/** The answer's line without LF, or undefined for what needs none. */
function respond(line: string): string | undefined {
  const message = JSON.parse(line) as Message; // The peer is the bench or a proxy under test: a wrong shape is a failed row.
  if (message.id === undefined || message.method === undefined) return undefined;
  const result = answer(message);
  if (result !== undefined) return JSON.stringify({ jsonrpc: '2.0', id: message.id, result });
  return JSON.stringify({ jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'method not found' } });
}

function serveStdio(): void {
  const lines = new LineReader((line) => {
    const answered = respond(line);
    if (answered !== undefined) process.stdout.write(`${answered}\n`);
  });
  process.stdin.on('data', (chunk) => lines.push(chunk));
  process.stdin.on('end', () => process.exit(0));
}

function serveHttp(port: number): void {
  const server = createServer((request, response) => {
    if (request.method !== 'POST') {
      response.writeHead(request.method === 'DELETE' ? 200 : 405).end();
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answered = respond(Buffer.concat(chunks).toString('utf8'));
      if (answered === undefined) {
        response.writeHead(202).end();
        return;
      }
      const bytes = Buffer.from(answered);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
    });
  });
  server.listen(port, '127.0.0.1');
}

const http = process.argv.indexOf('--http');
if (http === -1) serveStdio();
else serveHttp(Number(process.argv[http + 1]));
