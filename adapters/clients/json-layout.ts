// Where a new member of a JSON text goes and how it is laid out there: like its neighbours. These functions cut and paste text at known
// offsets; they decide nothing about values.

import type { Node } from 'jsonc-parser';
import type { Json } from '../../domain/json.ts';
import { flat, quoted } from './quoted-text.ts';
import { sameValue } from './text-edit.ts';

/** Blanks and comments that end with the line. */
const REST_OF_LINE = /^[ \t]*(?:\/\/[^\n\r]*|(?:\/\*[^\n\r]*?\*\/[ \t]*)+)?(?=\r?\n|$)/;

export function eolOf(body: string): string {
  return body.includes('\r\n') ? '\r\n' : '\n';
}

/** The blanks at the beginning of the line that holds the offset. */
export function lineIndent(body: string, offset: number): string {
  const start = body.lastIndexOf('\n', offset - 1) + 1;
  return /^[ \t]*/.exec(body.slice(start, offset))?.[0] ?? '';
}

/** One step of indentation as the text itself does it. */
export function indentUnit(body: string): string {
  return /\n([ \t]+)\S/.exec(body)?.[1]?.replace(/^\t+$/, '\t') ?? '  ';
}

/** Whether the members of a map or list begin on lines of their own. */
export function isMultiLine(body: string, node: Node): boolean {
  const first = node.children?.[0];
  const end = first?.offset ?? node.offset + node.length;
  return body.slice(node.offset, end).includes('\n');
}

export function childIndent(body: string, parent: Node): string {
  const first = parent.children?.[0];
  if (first !== undefined && isMultiLine(body, parent)) return lineIndent(body, first.offset);
  return lineIndent(body, parent.offset) + indentUnit(body);
}

/** The comma that follows, past blanks and comments only. */
export function commaAfter(body: string, offset: number): number | undefined {
  const match = /^(?:\s|\/\/[^\n\r]*|\/\*[\s\S]*?\*\/)*,/.exec(body.slice(offset));
  return match === null ? undefined : offset + match[0].length - 1;
}

/** A value as it stands behind its key: maps over several lines where the parent is, everything else on one. */
export function rendered(value: Json, body: string, indent: string, multiLine: boolean): string {
  if (!multiLine || typeof value !== 'object' || value === null || Array.isArray(value)) return flat(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return '{}';
  const eol = eolOf(body);
  const inner = indent + indentUnit(body);
  const lines = entries.map(([key, member]) => `${inner}${quoted(key)}: ${rendered(member, body, inner, true)}`);
  return `{${eol}${lines.join(`,${eol}`)}${eol}${indent}}`;
}

export function replaced(body: string, offset: number, length: number, text: string): string {
  return body.slice(0, offset) + text + body.slice(offset + length);
}

/** The body with one more member at the end of `parent`. A comment behind the last member stays on that member's line. */
export function withLast(body: string, parent: Node, text: string, multiLine: boolean): string {
  const indent = childIndent(body, parent);
  const eol = eolOf(body);
  const last = parent.children?.at(-1);
  if (last === undefined) {
    const close = parent.offset + parent.length - 1;
    const kept = body.slice(0, close).trimEnd();
    const comment = body.slice(parent.offset, close).includes('//');
    const outer = lineIndent(body, parent.offset);
    if (multiLine || comment) return `${kept}${eol}${indent}${text}${eol}${outer}${body.slice(close)}`;
    const space = parent.type === 'object' ? ' ' : '';
    return `${kept}${space}${text}${space}${body.slice(close)}`;
  }
  const end = last.offset + last.length;
  const comma = commaAfter(body, end);
  const after = comma === undefined ? end : comma + 1;
  const rest = multiLine ? (REST_OF_LINE.exec(body.slice(after))?.[0].trimEnd() ?? '') : '';
  const gap = multiLine ? `${eol}${indent}` : ' ';
  const point = after + rest.length;
  return comma === undefined
    ? `${body.slice(0, end)},${rest}${gap}${text}${body.slice(point)}`
    : `${body.slice(0, point)}${gap}${text},${body.slice(point)}`;
}

/** The body without the range, and without the line when nothing else was on it. */
export function cut(body: string, start: number, end: number): string {
  const lineStart = body.lastIndexOf('\n', start - 1) + 1;
  const blankBefore = body.slice(lineStart, start).trim() === '';
  const rest = /^[ \t]*(\r?\n)?/.exec(body.slice(end))?.[0] ?? '';
  if (blankBefore && rest.endsWith('\n')) return body.slice(0, lineStart) + body.slice(end + rest.length);
  return body.slice(0, start) + body.slice(end + (rest.endsWith('\n') ? rest.search(/\r?\n/) : rest.length));
}

/**
 * A list that only grows or shrinks at its front is changed at its front: the items that stay keep their layout and their comments.
 * Undefined where that is not the change.
 */
export function changedFront(
  body: string,
  node: Node,
  old: readonly Json[],
  next: readonly Json[],
): string | undefined {
  const first = node.children?.[0];
  const grown = next.length - old.length;
  if (first === undefined || next.length === 0 || grown === 0) return undefined;
  if (grown > 0) {
    if (!sameValue(old, next.slice(grown))) return undefined;
    const gap = isMultiLine(body, node) ? eolOf(body) + lineIndent(body, first.offset) : ' ';
    const items = next.slice(0, grown).map((item) => `${flat(item)},${gap}`);
    return replaced(body, first.offset, 0, items.join(''));
  }
  const kept = node.children?.[-grown];
  if (kept === undefined || !sameValue(old.slice(-grown), next)) return undefined;
  return replaced(body, first.offset, kept.offset - first.offset, '');
}
