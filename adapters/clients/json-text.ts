// Reads and edits JSON, with or without comments and trailing commas, at the source ranges of the values concerned. Key order, comments,
// indentation and line ends stay. It refuses a key given twice: which of the two a client obeys cannot be known.

import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type { Json } from '../../domain/json.ts';
import {
  changedFront,
  childIndent,
  commaAfter,
  cut,
  eolOf,
  indentUnit,
  isMultiLine,
  lineIndent,
  rendered,
  replaced,
  withLast,
} from './json-layout.ts';
import { quoted } from './quoted-text.ts';
import {
  type Edit,
  type KeyPath,
  NESTING_MAX,
  problemAt,
  sameValue,
  type TextEditing,
  type TextReading,
} from './text-edit.ts';

const BOM = '\uFEFF';

/** The value of the text. `json` refuses comments and trailing commas, `jsonc` takes them. */
export function parseJson(text: string, format: 'json' | 'jsonc'): TextReading {
  const tree = treeOf(text, format);
  return tree.ok ? { ok: true, value: jsonOf(tree.node) } : tree;
}

/** The text with each edit made in turn. The text was accepted by `parseJson` before. */
export function editJson(text: string, edits: readonly Edit[]): TextEditing {
  const bom = text.startsWith(BOM) ? BOM : '';
  let body = text.slice(bom.length);
  const tree = treeOf(body, 'jsonc');
  if (!tree.ok) return tree;
  // Each map that edits lie in is cut out and edited by itself: the whole text may have megabytes of other things. The last goes first,
  // so that the places of those before it stay.
  const groups = groupsOf(tree.node, edits).sort((one, other) => other.node.offset - one.node.offset);
  for (const { node, edits: inside } of groups) {
    const end = node.offset + node.length;
    const lead = sample(body) + lineIndent(body, node.offset);
    const next = editedAlone(lead + body.slice(node.offset, end), inside);
    if (next === undefined) return problemAt(text, bom.length + node.offset, 'an entry is not where it was expected');
    body = body.slice(0, node.offset) + next.slice(lead.length) + body.slice(end);
  }
  return { ok: true, text: bom + body };
}

/** The ranges of the values at some paths; undefined where none is. */
export function jsonSources(
  text: string,
  paths: readonly KeyPath[],
): ({ readonly start: number; readonly end: number } | undefined)[] {
  const tree = treeOf(text, 'jsonc');
  return paths.map((path) => {
    const node = tree.ok ? nodeAt(tree.node, path) : undefined;
    return node === undefined ? undefined : { start: node.offset, end: node.offset + node.length };
  });
}

interface Group {
  readonly path: KeyPath;
  readonly node: Node;
  /** Their paths begin at the node. */
  readonly edits: Edit[];
}

/** The edits by the map or list that is there and that they lie in; none of these lies within another. */
function groupsOf(root: Node, edits: readonly Edit[]): Group[] {
  const homes = edits.map(({ path }) => {
    let depth = 0;
    while (depth < path.length - 1 && nodeAt(root, path.slice(0, depth + 1))?.children !== undefined) depth += 1;
    return path.slice(0, depth);
  });
  const groups: Group[] = [];
  for (const home of [...homes].sort((one, other) => one.length - other.length)) {
    const node = nodeAt(root, home);
    if (node === undefined || groups.some(({ path }) => sameValue(path, home.slice(0, path.length)))) continue;
    groups.push({ path: home, node, edits: [] });
  }
  for (const [index, { path, value }] of edits.entries()) {
    const home = homes[index] ?? [];
    const group = groups.find((one) => sameValue(one.path, home.slice(0, one.path.length)));
    group?.edits.push({ path: path.slice(group.path.length), value });
  }
  return groups;
}

/** Lines of comment that show the layout's rules, line end and indentation, where the rest of the text cannot be seen. */
function sample(body: string): string {
  if (!body.includes('\n')) return '';
  const eol = eolOf(body);
  return `//${eol}${indentUnit(body)}//${eol}`;
}

function editedAlone(text: string, edits: readonly Edit[]): string | undefined {
  let now: string | undefined = text;
  for (const { path, value } of edits) {
    const root: Node | undefined = now === undefined ? undefined : parseTree(now, [], { allowTrailingComma: true });
    if (root === undefined || now === undefined) return undefined;
    now = value === undefined ? removed(now, root, path) : set(now, root, path, value);
  }
  return now;
}

function nodeAt(root: Node, path: KeyPath): Node | undefined {
  let node: Node | undefined = root;
  for (const key of path) {
    const child: Node | undefined = node === undefined ? undefined : childOf(node, key);
    node = child?.type === 'property' ? memberOf(child) : child;
  }
  return node;
}

/** The second reading: comments and trailing commas are blanked by a scanner of our own, the rest is for JSON.parse. */
export function rereadJson(text: string): Json | undefined {
  const blank = text
    .replace(/^\uFEFF/, '')
    .replace(
      /("(?:[^"\\\n]|\\.)*")|\/\/[^\n\r]*|\/\*[\s\S]*?\*\//g,
      (all, string: string | undefined) => string ?? ' '.repeat(all.length),
    )
    .replace(/("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? ' ');
  try {
    return JSON.parse(blank) as Json;
  } catch {
    return undefined;
  }
}

type Tree = { ok: true; node: Node } | (TextReading & { ok: false });

function treeOf(text: string, format: 'json' | 'jsonc'): Tree {
  const bom = text.startsWith(BOM) ? 1 : 0;
  const body = text.slice(bom);
  if (body.trim() === '') return problemAt(text, 0, 'the file is empty');
  const deep = tooDeepAt(body);
  if (deep !== undefined) return problemAt(text, bom + deep, `nested deeper than ${NESTING_MAX}`);
  const errors: ParseError[] = [];
  const lenient = format === 'jsonc';
  const node = parseTree(body, errors, { disallowComments: !lenient, allowTrailingComma: lenient });
  const [first] = errors;
  if (first !== undefined) return problemAt(text, bom + first.offset, spoken(printParseErrorCode(first.error)));
  if (node === undefined) return problemAt(text, bom, 'holds no value');
  const twice = repeatedKey(node);
  if (twice !== undefined)
    return problemAt(text, bom + twice.offset, `the key ${JSON.stringify(twice.value)} is given twice`);
  return { ok: true, node };
}

/** "CommaExpected" as words. */
function spoken(code: string): string {
  return code.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();
}

function tooDeepAt(body: string): number | undefined {
  let depth = 0;
  for (const match of body.matchAll(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n\r]*|\/\*[\s\S]*?\*\/|[[{]|[\]}]/g)) {
    if (match[0] === '{' || match[0] === '[') depth += 1;
    else if (match[0] === '}' || match[0] === ']') depth -= 1;
    if (depth > NESTING_MAX) return match.index;
  }
  return undefined;
}

function repeatedKey(node: Node): Node | undefined {
  const seen = new Set<string>();
  for (const child of node.children ?? []) {
    const key = child.type === 'property' ? child.children?.[0] : undefined;
    if (key !== undefined) {
      if (seen.has(key.value as string)) return key;
      seen.add(key.value as string);
    }
    const within = repeatedKey(child);
    if (within !== undefined) return within;
  }
  return undefined;
}

function jsonOf(node: Node): Json {
  if (node.type === 'array') return (node.children ?? []).map(jsonOf);
  if (node.type !== 'object') return node.value as Json;
  // fromEntries makes own members of every name; an assignment would lose "__proto__".
  return Object.fromEntries((node.children ?? []).map((property) => [keyOf(property), jsonOf(memberOf(property))]));
}

function keyOf(property: Node): string {
  return (property.children?.[0]?.value ?? '') as string;
}

function memberOf(property: Node): Node {
  return property.children?.[1] ?? property;
}

function childOf(node: Node, key: string | number): Node | undefined {
  if (typeof key === 'number') return node.type === 'array' ? node.children?.[key] : undefined;
  if (node.type !== 'object') return undefined;
  return node.children?.find((property) => keyOf(property) === key);
}

function set(body: string, root: Node, path: KeyPath, value: Json): string | undefined {
  let node = root;
  for (const [index, key] of path.entries()) {
    const child = childOf(node, key);
    if (child === undefined) return inserted(body, node, path.slice(index), value);
    node = child.type === 'property' ? memberOf(child) : child;
  }
  const { offset, length } = node;
  if (node.type === 'array' && Array.isArray(value)) {
    const list = value as readonly Json[];
    const change = changedFront(body, node, (node.children ?? []).map(jsonOf), list);
    if (change !== undefined) return change;
  }
  return replaced(body, offset, length, rendered(value, body, lineIndent(body, offset), spansLines(body, node)));
}

function spansLines(body: string, node: Node): boolean {
  return node.type === 'object' || node.type === 'array' ? isMultiLine(body, node) : false;
}

/** A member or item that is not there yet, as the last one of its parent. */
function inserted(body: string, parent: Node, path: KeyPath, value: Json): string | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return undefined;
  if (typeof key === 'number' ? parent.type !== 'array' || key !== parent.children?.length : parent.type !== 'object')
    return undefined;
  // What is missing further down comes along as nested maps.
  const whole = rest.reduceRight<Json | undefined>(
    (inner, name) => (typeof name === 'number' || inner === undefined ? undefined : { [name]: inner }),
    value,
  );
  if (whole === undefined) return undefined;
  const multiLine = isMultiLine(body, parent) || (parent.children?.length === 0 && body.includes('\n'));
  const indent = childIndent(body, parent);
  const text = (typeof key === 'string' ? `${quoted(key)}: ` : '') + rendered(whole, body, indent, multiLine);
  return withLast(body, parent, text, multiLine);
}

function removed(body: string, root: Node, path: KeyPath): string | undefined {
  const parentPath = path.slice(0, -1);
  const last = path.at(-1);
  let node = root;
  for (const key of parentPath) {
    const child = childOf(node, key);
    if (child === undefined) return body;
    node = child.type === 'property' ? memberOf(child) : child;
  }
  if (last === undefined) return undefined;
  const child = childOf(node, last);
  if (child === undefined) return body;
  const siblings = node.children ?? [];
  const index = siblings.indexOf(child);
  const end = child.offset + child.length;
  const next = siblings[index + 1];
  const comma = commaAfter(body, end);
  if (next === undefined && comma === undefined && index > 0) {
    // The last one without a comma of its own: the comma before it goes too.
    const previous = siblings[index - 1];
    const before = previous === undefined ? undefined : commaAfter(body, previous.offset + previous.length);
    if (before === undefined) return undefined;
    return cut(body.slice(0, before) + body.slice(before + 1), child.offset - 1, end - 1);
  }
  if (comma === undefined) return cut(body, child.offset, end);
  const without = body.slice(0, comma) + body.slice(comma + 1);
  return cut(without, child.offset, end);
}
