// The floor: a relay that parses each message, gives it an id of its own, serialises it again and passes it on; nothing else.
// `raw-relay [--http PORT] -- COMMAND ARGS...`. No policy, no permit, no record, no limit: never put it in front of a real server.

import { spawn } from 'node:child_process';
import { createServer, type ServerResponse } from 'node:http';
import { LineReader } from '../line-reader.ts';

interface Message {
  id?: number | string;
  readonly method?: string;
}

interface Waiting {
  readonly id: number | string;
  readonly reply: (line: string) => void;
}

const dashes = process.argv.indexOf('--');
const [command = '', ...args] = process.argv.slice(dashes + 1);
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
child.on('exit', () => process.exit(1));
process.on('SIGTERM', () => process.exit(0));
process.on('exit', () => child.kill('SIGKILL'));

const waiting = new Map<number, Waiting>();
const ids = { last: 0 };

const upstream = new LineReader((line) => {
  const message = JSON.parse(line) as Message; // Only the bench's own server speaks here.
  const call = waiting.get(Number(message.id));
  if (call === undefined) return;
  waiting.delete(Number(message.id));
  message.id = call.id;
  call.reply(JSON.stringify(message));
});
child.stdout.on('data', (chunk: Buffer) => upstream.push(chunk));

/** Passes one message on; false when it is a notification, to which nothing will be answered. */
function relay(line: string, reply: (line: string) => void): boolean {
  const message = JSON.parse(line) as Message;
  if (message.id === undefined) {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    return false;
  }
  ids.last += 1;
  waiting.set(ids.last, { id: message.id, reply });
  message.id = ids.last;
  child.stdin.write(`${JSON.stringify(message)}\n`);
  return true;
}

function sendJson(response: ServerResponse, line: string): void {
  const bytes = Buffer.from(line);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
}

function serveHttp(port: number): void {
  const server = createServer((request, response) => {
    if (request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const expectsAnswer = relay(Buffer.concat(chunks).toString('utf8'), (line) => sendJson(response, line));
      if (!expectsAnswer) response.writeHead(202).end();
    });
  });
  server.listen(port, '127.0.0.1');
}

function serveStdio(): void {
  const downstream = new LineReader((line) => {
    relay(line, (answered) => process.stdout.write(`${answered}\n`));
  });
  process.stdin.on('data', (chunk: Buffer) => downstream.push(chunk));
  process.stdin.on('end', () => process.exit(0));
}

const http = process.argv.indexOf('--http');
if (http !== -1 && http < dashes) serveHttp(Number(process.argv[http + 1]));
else serveStdio();
