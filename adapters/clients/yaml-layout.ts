// Where the nodes of a YAML text begin and end, without what the parser counts to them besides.

import { isAlias, isMap, isScalar, isSeq, type Pair, parseDocument } from 'yaml';
import type { KeyPath } from './text-edit.ts';

export type Member = Pair<unknown, unknown>;

function isPair(node: unknown): node is Member {
  return typeof node === 'object' && node !== null && 'key' in node && 'value' in node && !isAlias(node);
}

/** Where the source of a node or a pair begins. A node with an anchor or a tag has more than its range: it is not touched. */
export function startOf(node: unknown): number | undefined {
  if (isPair(node)) return startOf(node.key);
  if (!isScalar(node) && !isMap(node) && !isSeq(node)) return undefined;
  if (node.anchor !== undefined || node.tag !== undefined) return undefined;
  return node.range?.[0];
}

/** Where its content ends, without the blank lines and comments that the parser counts to it. */
export function endOf(node: unknown): number | undefined {
  if (isPair(node)) return node.value === null ? undefined : endOf(node.value);
  if ((isMap(node) || isSeq(node)) && node.flow !== true) {
    const last = node.items.at(-1);
    return last === undefined ? node.range?.[1] : endOf(last);
  }
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[1] : undefined;
}

export function lineEnd(body: string, offset: number): number {
  const stop = body.indexOf('\n', offset);
  if (stop < 0) return body.length;
  return body[stop - 1] === '\r' ? stop - 1 : stop;
}

export function columnOf(body: string, offset: number): number {
  return offset - (body.lastIndexOf('\n', offset - 1) + 1);
}

export function eolOf(body: string): string {
  return body.includes('\r\n') ? '\r\n' : '\n';
}

/** The range that says all of what is at a path, with a comment behind its last line. Undefined where no such node is. */
export function yamlSource(body: string, path: KeyPath): { readonly start: number; readonly end: number } | undefined {
  const node = parseDocument(body, { logLevel: 'error' }).getIn(path, true);
  const [start, end] = [startOf(node), endOf(node)];
  if (start === undefined || end === undefined) return undefined;
  return { start, end: isMap(node) && node.flow !== true && body[end - 1] !== '\n' ? lineEnd(body, end) : end };
}
