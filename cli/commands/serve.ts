// portcullis serve: one gate in front of the manifest's servers, on Streamable HTTP and/or standard input and output.

import { type HttpFront, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { type StdioFront, serveStdio } from '../../adapters/downstream/stdio.ts';
import type { DecidingThread } from '../../adapters/policy-engine/deciding-thread.ts';
import { STARTER_HINTS } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { NotedAddress } from '../gate-addresses.ts';
import { findHome } from '../home.ts';
import { httpAccess } from '../http-access.ts';
import { localPrincipal } from '../identity.ts';
import { openKeys } from '../ledger.ts';
import { loadConfiguration, onStop, openGate } from '../open-gate.ts';
import { operatorsOf } from '../operators.ts';
import { CommandError, type Output } from '../output.ts';
import { launchOf } from '../servers.ts';
import { systemClock } from '../system-clock.ts';
import { tlsOf } from '../tls.ts';

export interface ServeOptions {
  readonly config?: string;
  readonly http?: string;
  readonly stdio?: boolean;
  readonly name?: string;
  readonly agent?: string;
}

export async function serve(options: ServeOptions, out: Output, deciding?: DecidingThread): Promise<number> {
  const home = findHome();
  const found = loadConfiguration(home, options.config);
  if (found === undefined) {
    throw new CommandError(`there is no ${home.config}/portcullis.yaml`, EXIT.usage, [
      'name one with --config FILE',
      ...STARTER_HINTS,
    ]);
  }
  const configuration = found;
  const { manifest, file } = configuration;
  const address = options.http ?? manifest.listen.http;
  if (address === undefined && options.stdio !== true) {
    throw new CommandError('nowhere to listen', EXIT.usage, ['give --http 127.0.0.1:PORT, --stdio, or both']);
  }
  const names = Object.keys(manifest.servers);
  if (names.length === 0) throw new CommandError(`${file} names no servers`, EXIT.usage, ['add one under servers:']);
  const base = file.replace(/[^/\\]*$/, '');
  const launches = await Promise.all(
    Object.entries(manifest.servers).map(([name, server]) => launchOf(name, server, base)),
  );
  const hint = `No policy is installed, so every call is denied. Edit ${file} and run: portcullis policy check`;
  const listen = address === undefined ? undefined : parseAddress(address);
  const { gate, folder } = await openGate(
    {
      home,
      name: options.name ?? 'serve',
      configuration,
      launches,
      missingPolicyHint: hint,
      oneClient: listen === undefined,
      deciding,
    },
    out,
  );
  const fronts: { close(): void | Promise<void> }[] = [];
  try {
    if (listen !== undefined) fronts.push(await startHttp(listen));
    const stdio = options.stdio === true ? startStdio() : undefined;
    if (stdio !== undefined) fronts.push(stdio);
    out.note(`ledger ${folder.ledger}`);
    void gate.ready.then(() => {
      const shut = gate.governance.reason;
      const served = gate.served();
      const missing = names.filter((name) => !served.includes(name)).join(', ');
      const open = `open: ${served.length} server(s)${missing === '' ? '' : `; not there: ${missing}`}`;
      out.note(shut === undefined ? open : `shut (${shut.code}): ${shut.detail}`);
    });
    await new Promise<void>((resolve) => {
      onStop(() => resolve());
      // A client on our standard input is the reason to be there, unless others come over HTTP.
      if (listen === undefined) void stdio?.ended.then(() => resolve());
    });
  } finally {
    for (const front of fronts) await front.close();
    await gate.close();
  }
  return EXIT.ok;

  async function startHttp(at: { host: string; port: number }): Promise<HttpFront> {
    const access = httpAccess(configuration, options.agent);
    const tls = tlsOf(configuration);
    const operators = operatorsOf(manifest, home, openKeys(folder.keys).vault, gate);
    const started = await listenHttp({
      ...at,
      access,
      ...(tls === undefined ? {} : { tls }),
      sessions: gate.sessions,
      ...(operators === undefined ? {} : { operators }),
      peers: gate.peers,
      publicHosts: manifest.listen.hosts,
      ...(manifest.listen.publicUrl === undefined ? {} : { publicUrl: manifest.listen.publicUrl }),
      origins: manifest.listen.origins,
      clock: systemClock,
      onDefect: (error) => gate.halt(error),
    });
    if (!started.ok) throw new CommandError(`cannot listen on ${address}: ${started.problem}`, EXIT.error);
    const { publicUrl } = manifest.listen;
    const urls = [started.front.url, ...(publicUrl === undefined ? [] : [`${publicUrl}/mcp`])];
    fronts.push(new NotedAddress(folder, urls));
    out.note(`listening on ${started.front.url} (one server: ${started.front.url}/SERVER)`);
    // With a client on standard output nothing but protocol may go there.
    if (options.stdio !== true) out.answer({ listening: started.front.url, ledger: folder.ledger });
    return started.front;
  }

  function startStdio(): StdioFront {
    const session = gate.sessions.open({ principal: localPrincipal(manifest, options.agent) }, { kind: 'all' });
    if ('code' in session) throw new CommandError(`the gate is not serving: ${session.code}`, EXIT.gateShut);
    return serveStdio({ session, input: process.stdin, output: process.stdout });
  }
}

function parseAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new CommandError(`"${text}" is not HOST:PORT`, EXIT.usage, ['for example 127.0.0.1:7300']);
  return { host: match[1] ?? match[2] ?? '', port };
}
