import { expect, it } from 'vitest';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import { problemText } from '../../../../control-plane/policy/source.ts';

function problemsOf(sandbox: string, server = 'stdio: { command: node }'): string[] {
  const text = `apiVersion: portcullis/v1\nservers:\n  fs:\n    ${server}\n    sandbox: ${sandbox}\n`;
  const result = parseManifest(text, 'p.yaml');
  return result.ok ? [] : result.problems.map(problemText);
}

it.each<[string, string, string[]]>([
  ['an unknown key', '{ wirte: [/srv] }', ['p.yaml:5:16: unknown key "wirte" in sandbox (did you mean write?)']],
  [
    'an unknown key of the network',
    '{ net: { alow: [a.example] } }',
    ['p.yaml:5:21: "allow": is missing', 'p.yaml:5:23: unknown key "alow" in net (did you mean allow?)'],
  ],
  [
    'another word for the network',
    '{ net: host }',
    ['p.yaml:5:21: "net": net is none, or { allow: [HOST, HOST:PORT, ...] }'],
  ],
  ['an empty list of hosts', '{ net: { allow: [] } }', ['p.yaml:5:30: "allow": at least 1']],
  [
    'a URL in place of a host',
    '{ net: { allow: ["https://a.example"] } }',
    [
      'p.yaml:5:31: "allow[0]": not a host: write "api.example.com", "*.example.com", "192.0.2.7:8443" or "[2001:db8::7]:443", without a scheme and a path',
    ],
  ],
  ['the whole file system', '{ write: [/] }', ['p.yaml:5:24: the whole file system is no sandbox: name the folders']],
  ['the whole home', '{ read: ["~/"] }', ['p.yaml:5:23: a home is not given as a whole: name the folders in it']],
  [
    'the home of somebody else',
    '{ read: ["~root/x"] }',
    ['p.yaml:5:23: "read[0]": write "~/folder" for a folder of your own'],
  ],
  ['a pattern', '{ read: ["/srv/*"] }', ['p.yaml:5:23: "read[0]": a path names one file or folder: no "*"']],
  [
    'a way up through a link',
    '{ read: [/srv/a/../b] }',
    ['p.yaml:5:23: "read[0]": a path has ".." at most at its beginning'],
  ],
  ['sockets of others', '{ read: [/run/user/1000] }', ['p.yaml:5:23: nothing of /run is given to a sandbox']],
  ['other processes', '{ read: [/proc/1] }', ['p.yaml:5:23: nothing of /proc is given to a sandbox']],
  [
    'the folder for everybody',
    '{ write: [/tmp] }',
    ['p.yaml:5:24: a sandbox has a /tmp of its own: name a folder in it'],
  ],
  [
    'what lies in a folder that the server may write',
    '{ write: [/srv/a], read: [/srv/a/b] }',
    ['p.yaml:5:40: "/srv/a/b" lies in "/srv/a", which the server may write already'],
  ],
  ['a path twice', '{ read: [/srv/a, /srv/a/] }', ['p.yaml:5:31: "/srv/a/" is named twice']],
  [
    'limits, which hold with and without a sandbox',
    '{ memoryMb: 512 }',
    ['p.yaml:5:16: unknown key "memoryMb" in sandbox (did you mean stdio.resources.memoryMb?)'],
  ],
])('refuses %s', (_, sandbox, problems) => {
  expect(problemsOf(sandbox)).toEqual(problems);
});

it('refuses a sandbox for what is no process, with or without an allow-list', () => {
  const message = 'p.yaml:5:5: only a process that the gate starts has a sandbox: a server with "stdio"';
  expect(problemsOf('{}', 'http: { url: "https://h.example" }')).toEqual([message]);
  expect(problemsOf('{ net: { allow: [a.example] } }', 'http: { url: "https://h.example" }')).toEqual([message]);
});

it('refuses an allow-list of a server without a sandbox: it would be a wish', () => {
  const text = 'apiVersion: portcullis/v1\nservers:\n  fs: { stdio: { command: node }, net: { allow: [a.example] } }\n';
  const result = parseManifest(text, 'p.yaml');
  expect(result.ok ? [] : result.problems.map(problemText)).toEqual(['p.yaml:3:35: unknown key "net" in fs']);
});

it('refuses a proxy of its own beside an allow-list', () => {
  const server = 'stdio: { command: node, env: { set: { https_proxy: "http://p.example" } } }';
  expect(problemsOf('{ net: { allow: [a.example] } }', server)).toEqual([
    'p.yaml:4:41: the gate itself says https_proxy to a server with an allow-list',
  ]);
  expect(problemsOf('{}', server)).toEqual([]);
});

it('a sandbox that says nothing sees nothing and reaches nobody', () => {
  const result = parseManifest(
    'apiVersion: portcullis/v1\nservers: { fs: { stdio: { command: a }, sandbox: {} } }\n',
    'p',
  );
  expect(result.ok && result.manifest.servers.fs?.sandbox).toEqual({ read: [], write: [], net: 'none' });
});

it('a server without one has no word about it, so that older policies keep their digests', () => {
  const result = parseManifest('apiVersion: portcullis/v1\nservers: { fs: { stdio: { command: a } } }\n', 'p');
  expect(result.ok && 'sandbox' in (result.manifest.servers.fs ?? {})).toBe(false);
});
