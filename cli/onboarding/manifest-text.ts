// The manifest with what init found: a new one, or the one that is there with its comments. Nothing is allowed by it.

import { parseDocument } from 'yaml';
import { editText } from '../../adapters/clients/edit-text.ts';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import { parseManifest } from '../../control-plane/policy/parse-manifest.ts';
import type { JsonObject } from '../../domain/json.ts';
import { type Configuration, invalid } from '../configuration.ts';
import type { PlannedServer } from './plan.ts';

export const ROLE = 'developer';

const NEW = `# What this gate knows: who may call, and which servers there are. Written by "portcullis init"; it is yours to change.
# The rules are in policy/*.cedar. Whatever no rule permits is denied.
apiVersion: portcullis/v1
`;

export const STARTER_RULES = `// Rules for every server. Whatever no rule permits is denied; a forbid wins over every permit.
// Nothing is allowed here. Rules for one server are written when it is approved: portcullis tools approve NAME --allow-read-only
//
// A rule looks like this, for one tool of one server:
//
// @id("files-read")
// @reason("reading is harmless")
// permit (principal in Portcullis::Role::"developer",
//   action == Portcullis::Action::"files/read_file",
//   resource == Portcullis::Server::"files");
`;

export interface Added {
  readonly text: string;
  readonly agents: readonly string[];
  readonly servers: readonly string[];
}

/** Undefined where the manifest has it all. Throws a CommandError where what would be written is not valid. */
export function manifestWith(
  existing: Configuration | undefined,
  file: string,
  planned: readonly PlannedServer[],
  schema: string | undefined,
): Added | undefined {
  const manifest = existing?.manifest;
  const agents = [...new Set(planned.map(({ client }) => client.id))].filter((id) => !has(manifest?.agents, id));
  const servers = [...new Map(planned.map((one) => [one.server, one]))].filter(
    ([name]) => !has(manifest?.servers, name),
  );
  if (existing !== undefined && agents.length === 0 && servers.length === 0) return undefined;
  const hint = editorHint(schema);
  const stated = [
    ...agents.map((id) => ({ path: ['agents', id], value: { roles: [ROLE], auth: 'local' } })),
    ...servers.map(([name, one]) => ({ path: ['servers', name], value: statedServer(one) })),
  ];
  const text =
    existing === undefined ? newText(stated, hint) : extendedText(withHint(existing.source.text, hint), stated);
  const parsed = parseManifest(text, file);
  if (!parsed.ok) throw invalid(file, parsed.problems);
  return { text, agents, servers: servers.map(([name]) => name) };
}

/** Why the manifest would not take this server, whatever else is in it; undefined where it does. */
export function whyNotStated(one: PlannedServer): string | undefined {
  const stated = [{ path: ['servers', one.server], value: statedServer(one) }];
  const parsed = parseManifest(newText(stated, ''), 'the manifest');
  return parsed.ok ? undefined : parsed.problems[0]?.message;
}

type Stated = readonly { readonly path: readonly string[]; readonly value: JsonObject }[];

function newText(stated: Stated, hint: string): string {
  return withNodes(hint + NEW, stated);
}

/** In place where that can be done; otherwise every comment stays and some spaces do not. */
function extendedText(text: string, stated: Stated): string {
  const edited = editText('yaml', text, stated);
  return edited.ok ? edited.text : withNodes(text, stated);
}

function withNodes(text: string, stated: Stated): string {
  const document = parseDocument(text);
  for (const { path, value } of stated) {
    const flow = path[0] === 'agents';
    document.setIn(path, document.createNode(value, { flow, aliasDuplicateObjects: false }));
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** The line by which editors find what a manifest may say; nothing where the schema is not here. */
export function editorHint(schema: string | undefined): string {
  return schema === undefined ? '' : `# yaml-language-server: $schema=${schema}\n`;
}

/** An editor's hint stays as it is where there is one. */
function withHint(text: string, hint: string): string {
  return hint === '' || /^# yaml-language-server:/m.test(text) ? text : hint + text;
}

function has(members: Manifest['agents'] | Manifest['servers'] | undefined, name: string): boolean {
  return members !== undefined && Object.hasOwn(members, name);
}

/** As it is written down: names of variables, and no value of any. */
function statedServer({ entry, cwd, headers }: PlannedServer): JsonObject {
  // Each client had a process or a connection of its own before.
  const isolation = 'per-session';
  if (entry.kind === 'stdio') {
    const { command, args, env, forwarded } = entry;
    const allow = [...new Set([...Object.keys(env), ...forwarded])].sort();
    return {
      stdio: { command, args: [...args], ...(cwd === undefined ? {} : { cwd }), env: { allow } },
      isolation,
    };
  }
  const variables = { ...headers, ...entry.headersFrom };
  const stated = Object.fromEntries(Object.entries(variables).map(([header, env]) => [header, { env }]));
  const remote = {
    url: entry.url,
    ...(entry.bearerFrom === undefined ? {} : { auth: { env: entry.bearerFrom } }),
    ...(Object.keys(stated).length === 0 ? {} : { headers: stated }),
  };
  return { [entry.transport]: remote, isolation };
}
