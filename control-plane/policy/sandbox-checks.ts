// What a schema cannot say about sandboxes in a manifest: only a process has one, some places are not to be given, and nothing is listed inside of a
// folder that the server may write, where it could put a link in its place.

import type { Manifest } from './manifest.ts';
import type { SandboxSpec } from './sandbox.ts';
import type { Problem } from './source.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

/** Each sandbox has its own, or none: sockets of other programs lie there. */
const OWN = ['/proc', '/sys', '/dev', '/run', '/var/run'];

/** The gate says these to a server with an allow-list. */
const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'NODE_USE_ENV_PROXY'];

export function checkSandboxes(manifest: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  for (const [server, { sandbox, stdio }] of Object.entries(manifest.servers)) {
    if (sandbox === undefined) continue;
    const path = ['servers', server, 'sandbox'];
    if (stdio === undefined) {
      const message = 'only a process that the gate starts has a sandbox: a server with "stdio"';
      problems.push(document.problem(path, message, { atKey: true }));
      continue;
    }
    problems.push(...checkPlaces(sandbox, path, document));
    if (sandbox.net === 'none') continue;
    const set = Object.keys(stdio.env.set).map((name): [string, string] => ['set', name]);
    for (const [way, name] of [...set, ...stdio.env.allow.map((one): [string, string] => ['allow', one])]) {
      if (!PROXY_VARIABLES.includes(name.toUpperCase())) continue;
      const at = ['servers', server, 'stdio', 'env', way];
      problems.push(document.problem(at, `the gate itself says ${name} to a server with an allow-list`));
    }
  }
  return problems;
}

function checkPlaces(sandbox: SandboxSpec, path: YamlPath, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  const writable = sandbox.write.map(trimmed);
  for (const way of ['read', 'write'] as const) {
    for (const [index, text] of sandbox[way].entries()) {
      const place = trimmed(text);
      const at = [...path, way, index];
      const wrong = (message: string) => problems.push(document.problem(at, message));
      if (place === '/') wrong('the whole file system is no sandbox: name the folders');
      else if (place === '~') wrong('a home is not given as a whole: name the folders in it');
      const own = OWN.find((folder) => inside(place, folder));
      if (own !== undefined) wrong(`nothing of ${own} is given to a sandbox`);
      if (place === '/tmp') wrong('a sandbox has a /tmp of its own: name a folder in it');
      const outer = writable.find((folder) => folder !== place && inside(place, folder));
      if (outer !== undefined) wrong(`"${text}" lies in "${outer}", which the server may write already`);
      if (way === 'read' && writable.includes(place)) wrong(`"${text}" stands under write too`);
      if (sandbox[way].findIndex((one) => trimmed(one) === place) !== index) wrong(`"${text}" is named twice`);
    }
  }
  return problems;
}

function trimmed(text: string): string {
  return text.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '');
}

function inside(place: string, folder: string): boolean {
  return place === folder || place.startsWith(`${folder}/`);
}
