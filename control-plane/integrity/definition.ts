// What a server says that it is: how it is reached, the tools, prompts and resource templates that it lists, and its instructions to the model. A person
// approves it whole, and one digest stands for it. The order of a list and of members is no part of it; every other character is.

import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Digest, Sha256 } from '../../domain/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';

export interface ServerDefinition {
  /** How it is reached, without secrets. */
  readonly launch: JsonObject;
  readonly instructions: string | null;
  /** As the server gave them, and in its order. Hostile text. */
  readonly tools: readonly JsonObject[];
  readonly prompts: readonly JsonObject[];
  readonly resourceTemplates: readonly JsonObject[];
}

export const DEFINED_LISTS = ['tools', 'prompts', 'resourceTemplates'] as const;
export type DefinedList = (typeof DEFINED_LISTS)[number];

export interface ListChanges {
  /** Names, sorted. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface DefinitionChanges extends Readonly<Record<DefinedList, ListChanges>> {
  readonly launch: boolean;
  readonly instructions: boolean;
}

const UTF8 = new TextEncoder();

/** The text whose digest stands for a definition. */
export function definitionText(definition: ServerDefinition): string {
  const { launch, instructions } = definition;
  const lists = DEFINED_LISTS.map((list) => [list, sorted(definition[list])] as const);
  return canonicalJson({ v: 1, launch, instructions, ...Object.fromEntries(lists) });
}

export function definitionDigest(sha256: Sha256, definition: ServerDefinition): Digest {
  return digestOfText(sha256, `portcullis/definition/v1\n${definitionText(definition)}`);
}

/** Stands for how a server is reached: an approval is for one server and one way to it. */
export function launchDigest(sha256: Sha256, launch: JsonObject): Digest {
  return digestOfText(sha256, `portcullis/launch/v1\n${canonicalJson(launch)}`);
}

/** What differs; undefined where nothing does. */
export function changesBetween(approved: ServerDefinition, live: ServerDefinition): DefinitionChanges | undefined {
  if (definitionText(approved) === definitionText(live)) return undefined;
  return {
    launch: canonicalJson(approved.launch) !== canonicalJson(live.launch),
    instructions: approved.instructions !== live.instructions,
    tools: listChanges('tools', approved, live),
    prompts: listChanges('prompts', approved, live),
    resourceTemplates: listChanges('resourceTemplates', approved, live),
  };
}

/** What an item of a list is called: a template by its template. */
export function itemName(list: DefinedList, item: JsonObject): string {
  const name = list === 'resourceTemplates' ? item.uriTemplate : item.name;
  return typeof name === 'string' ? name : '';
}

/** Items of a list by their names. A name that is given twice stands for both. */
export function byName(list: DefinedList, items: readonly JsonObject[]): ReadonlyMap<string, readonly JsonObject[]> {
  const found = new Map<string, JsonObject[]>();
  for (const item of items) {
    const name = itemName(list, item);
    const known = found.get(name);
    if (known === undefined) found.set(name, [item]);
    else known.push(item);
  }
  return found;
}

function listChanges(list: DefinedList, approved: ServerDefinition, live: ServerDefinition): ListChanges {
  const before = byName(list, approved[list]);
  const now = byName(list, live[list]);
  const text = (items: readonly JsonObject[] | undefined): string => canonicalJson(sorted(items ?? []));
  return {
    added: [...now.keys()].filter((name) => !before.has(name)).sort(),
    changed: [...now.keys()]
      .filter((name) => before.has(name) && text(before.get(name)) !== text(now.get(name)))
      .sort(),
    removed: [...before.keys()].filter((name) => !now.has(name)).sort(),
  };
}

/** By their canonical texts: the same for every order. */
function sorted(items: readonly JsonObject[]): Json {
  return items
    .map((item) => [canonicalJson(item), item] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, item]) => item);
}

function digestOfText(sha256: Sha256, text: string): Digest {
  return `sha256:${encodeBase64url(sha256(UTF8.encode(text)))}`;
}

/** The definition that a value is; undefined for one that is none. */
export function parseDefinition(value: Json): ServerDefinition | undefined {
  if (!isJsonObject(value)) return undefined;
  const { launch, instructions, tools, prompts, resourceTemplates, ...rest } = value;
  if (Object.keys(rest).length > 0 || !isJsonObject(launch)) return undefined;
  if (instructions !== null && typeof instructions !== 'string') return undefined;
  if (!areObjects(tools) || !areObjects(prompts) || !areObjects(resourceTemplates)) return undefined;
  return { launch, instructions, tools, prompts, resourceTemplates };
}

function areObjects(value: Json | undefined): value is JsonObject[] {
  return Array.isArray(value) && value.every(isJsonObject);
}
