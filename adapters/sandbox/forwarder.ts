// The one program of ours inside a sandbox with a way out: it listens on the sandbox's own loopback, hands what comes to the socket of the proxy, and
// starts the server, as which it then ends. It has no more rights than the server, which could do the same.

/** The sandbox's own: nobody else listens there. */
export const FORWARDER_PORT = 3128;

/** As a module that any Node can run: arguments are the port, the socket, and the command line of the server. */
export const FORWARDER = `
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { constants } from 'node:os';

const [port, path, file, ...args] = process.argv.slice(2);
const server = createServer({ allowHalfOpen: true }, (inner) => {
  const outer = connect({ path, allowHalfOpen: true });
  for (const [from, to] of [[inner, outer], [outer, inner]]) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
});
server.on('error', (error) => {
  console.error('the way out of the sandbox could not be opened: ' + error.code);
  process.exit(126);
});
server.listen(Number(port), '127.0.0.1', () => {
  const stdio = ['inherit', 'inherit', 'inherit'];
  if (process.env.PORTCULLIS_FD !== undefined) stdio.push('inherit');
  const child = spawn(file, args, { stdio });
  child.on('error', (error) => {
    console.error('the server could not be started: ' + error.code);
    process.exit(127);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
});
`;

/** What tells programs in the sandbox about it. Node heeds it from 24 on, and from 22.21. */
export const FORWARDER_VARIABLES: Readonly<Record<string, string>> = {
  HTTP_PROXY: `http://127.0.0.1:${FORWARDER_PORT}`,
  HTTPS_PROXY: `http://127.0.0.1:${FORWARDER_PORT}`,
  http_proxy: `http://127.0.0.1:${FORWARDER_PORT}`,
  https_proxy: `http://127.0.0.1:${FORWARDER_PORT}`,
  NO_PROXY: 'localhost,127.0.0.1,::1',
  no_proxy: 'localhost,127.0.0.1,::1',
  NODE_USE_ENV_PROXY: '1',
};
