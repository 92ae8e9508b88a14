// The environment of a tool server as it was measured: which program runs, from which files, with which arguments and variables. One canonical record,
// one digest, and what differs between two of them by name. Values of variables are in it only as keyed digests, so a record gives no secret away.
// It does not measure: see adapters/integrity. It does not say what is approved: that is a person's.

import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Digest, isDigest, type Sha256 } from '../../domain/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';

/** A file by itself: the program, its interpreter, a lock file. */
export type MeasuredFile = {
  /** What it is for: `program`, `interpreter`, `entry`, `lock`. */
  readonly role: string;
  /** Where it lies, every link followed. */
  readonly path: string;
  readonly digest: Digest;
};

/** A tree of files, whose entries are kept apart under its digest. */
export type MeasuredTree = {
  /** What it is: `package`, `dependency`, `python`, `store`. */
  readonly role: string;
  readonly root: string;
  readonly digest: Digest;
  readonly files: number;
};

/** Plain JSON, so that it can be sealed, recorded and compared as it is. */
export type EnvironmentRecord = {
  readonly v: 1;
  readonly files: readonly MeasuredFile[];
  readonly trees: readonly MeasuredTree[];
  readonly args: readonly string[];
  readonly cwd: string;
  /** Keyed digest of each value, by the name of the variable. */
  readonly env: { readonly [name: string]: Digest };
  /** Whom it runs as; null where the system has no such number. */
  readonly uid: number | null;
  /** What holds it in; null without. */
  readonly sandbox: JsonObject | null;
  /** Where it runs from, when that is a copy of ours: the digest of the copy. */
  readonly store: Digest | null;
};

/** A difference as an operator reads it: which item, and what of it. */
export type EnvironmentDifference = { readonly item: string; readonly what: string };

/** A keyed authentication code over bytes. */
export type Keyed = (bytes: Uint8Array) => Uint8Array;

const UTF8 = new TextEncoder();

export function environmentDigest(sha256: Sha256, record: EnvironmentRecord): Digest {
  return `sha256:${encodeBase64url(sha256(UTF8.encode(canonicalJson(record))))}`;
}

/** The digest of a variable's value. Whoever lacks the key cannot try values out. */
export function valueDigest(keyed: Keyed, name: string, value: string): Digest {
  return `sha256:${encodeBase64url(keyed(UTF8.encode(`portcullis/variable/v1\n${name}\n${value}`)))}`;
}

/** What differs, item by item. Trees are named as a whole: see treeDifferences. */
export function environmentDifferences(
  approved: EnvironmentRecord,
  now: EnvironmentRecord,
): readonly EnvironmentDifference[] {
  return [
    ...itemDifferences('file', filesOf(approved), filesOf(now)),
    ...itemDifferences('tree', treesOf(approved), treesOf(now)),
    ...argumentDifferences(approved.args, now.args),
    ...itemDifferences('variable', approved.env, now.env),
    ...(approved.cwd === now.cwd ? [] : [{ item: 'working directory', what: `${approved.cwd} → ${now.cwd}` }]),
    ...(approved.uid === now.uid ? [] : [{ item: 'user', what: `${approved.uid} → ${now.uid}` }]),
    ...(canonicalJson(approved.sandbox) === canonicalJson(now.sandbox) ? [] : [{ item: 'sandbox', what: 'changed' }]),
    ...(approved.store === now.store ? [] : [{ item: 'store', what: 'changed' }]),
  ];
}

/** The record, or undefined for JSON that is none. */
export function readEnvironment(json: Json | undefined): EnvironmentRecord | undefined {
  if (!isJsonObject(json) || json.v !== 1 || Object.keys(json).length !== MEMBERS) return undefined;
  const { files, trees, args, cwd, env, uid, sandbox, store } = json;
  const isRecord =
    isListOf(files, (one) => hasTexts(one, ['role', 'path']) && isDigestText(one.digest)) &&
    isListOf(
      trees,
      (one) => hasTexts(one, ['role', 'root']) && isDigestText(one.digest) && typeof one.files === 'number',
    ) &&
    Array.isArray(args) &&
    (args as readonly Json[]).every((one) => typeof one === 'string') &&
    typeof cwd === 'string' &&
    isJsonObject(env) &&
    Object.values(env).every(isDigestText) &&
    (uid === null || typeof uid === 'number') &&
    (sandbox === null || isJsonObject(sandbox)) &&
    (store === null || isDigestText(store));
  // Every member was looked at above.
  return isRecord ? (json as unknown as EnvironmentRecord) : undefined;
}

const MEMBERS = 9;

function filesOf({ files }: EnvironmentRecord): { readonly [item: string]: string } {
  return Object.fromEntries(files.map(({ role, path, digest }) => [`${role} ${path}`, digest]));
}

function treesOf({ trees }: EnvironmentRecord): { readonly [item: string]: string } {
  return Object.fromEntries(trees.map(({ role, root, digest }) => [`${role} ${root}`, digest]));
}

function itemDifferences(
  kind: string,
  before: { readonly [item: string]: string },
  after: { readonly [item: string]: string },
): EnvironmentDifference[] {
  const items = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return items.flatMap((item) => {
    const [old, now] = [ownOf(before, item), ownOf(after, item)];
    if (old === now) return [];
    return [{ item: `${kind} ${item}`, what: old === undefined ? 'added' : now === undefined ? 'gone' : 'changed' }];
  });
}

function ownOf(items: { readonly [item: string]: string }, item: string): string | undefined {
  return Object.hasOwn(items, item) ? items[item] : undefined;
}

function argumentDifferences(before: readonly string[], after: readonly string[]): EnvironmentDifference[] {
  const longest = Math.max(before.length, after.length);
  return Array.from({ length: longest }, (_, at) => at).flatMap((at) => {
    const [old, now] = [before[at], after[at]];
    if (old === now) return [];
    const what = old === undefined ? 'added' : now === undefined ? 'gone' : 'changed';
    return [{ item: `argument ${at + 1}`, what }];
  });
}

function isDigestText(json: Json | undefined): boolean {
  return typeof json === 'string' && isDigest(json);
}

function hasTexts(json: JsonObject, names: readonly string[]): boolean {
  return names.every((name) => typeof json[name] === 'string');
}

function isListOf(json: Json | undefined, fits: (one: JsonObject) => boolean): boolean {
  return Array.isArray(json) && (json as readonly Json[]).every((one) => isJsonObject(one) && fits(one));
}
