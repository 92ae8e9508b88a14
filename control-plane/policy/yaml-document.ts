// YAML 1.2 as plain JSON with positions. No anchors, aliases, merge keys, tags or repeated keys: one text has one meaning.

import { isMap, isScalar, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml';
import type { Json } from '../../domain/json.ts';
import { MANIFEST_BYTES_MAX } from './limits.ts';
import type { Problem } from './source.ts';

export type YamlPath = readonly (string | number)[];

export interface YamlDocument {
  readonly file: string;
  readonly value: Json;
  /** A problem at the value of a path, or at its nearest existing parent; `atKey` points at the key instead. */
  problem(path: YamlPath, message: string, options?: { atKey?: boolean; suggestion?: string | undefined }): Problem;
}

export type YamlResult =
  | { readonly ok: true; readonly document: YamlDocument }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const FORBIDDEN_KEYS = ['__proto__', 'constructor', 'prototype'];

/** Reads one document. Refuses with positions what is not plain. */
export function readYaml(source: string, file: string): YamlResult {
  if (source.length > MANIFEST_BYTES_MAX) {
    return { ok: false, problems: [{ file, line: 1, column: 1, path: '', message: 'the file is too large' }] };
  }
  const lines = new LineCounter();
  const at = (offset: number, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1), path: '', message };
  };
  const yaml = parseDocument(source, {
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    merge: false,
    stringKeys: true,
    lineCounter: lines,
    prettyErrors: false,
    // 'silent' would also swallow a second document.
    logLevel: 'error',
  });
  const problems = [...yaml.errors, ...yaml.warnings].map(({ pos, code, message }) =>
    at(pos[0], code === 'MULTIPLE_DOCS' ? 'the file has more than one document' : firstLine(message)),
  );
  visit(yaml, {
    Alias: (_, node) => {
      problems.push(at(offsetOf(node), 'aliases are not part of this format'));
    },
    Node: (_, node) => {
      if ('anchor' in node && node.anchor !== undefined) {
        problems.push(at(offsetOf(node), 'anchors are not part of this format'));
      }
      if (node.tag !== undefined) problems.push(at(offsetOf(node), 'tags are not part of this format'));
    },
    Pair: (_, pair) => {
      const key = keyText(pair);
      if (FORBIDDEN_KEYS.includes(key)) problems.push(at(offsetOf(pair.key), `the key "${key}" is not allowed`));
      if (key === '<<') problems.push(at(offsetOf(pair.key), 'merge keys are not part of this format'));
    },
  });
  if (problems.length > 0) return { ok: false, problems };

  const value: Json = yaml.toJS({ maxAliasCount: 0 }) ?? null;
  const document: YamlDocument = {
    file,
    value,
    problem(path, message, options = {}) {
      const { line, column } = at(locate(yaml.contents, path, options.atKey === true), message);
      const problem = { file, line, column, path: pathText(path), message };
      return options.suggestion === undefined ? problem : { ...problem, suggestion: options.suggestion };
    },
  };
  return { ok: true, document };
}

/** `servers.fs.args[1]`: as a person would write it. */
export function pathText(path: YamlPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

function locate(root: Node | null, path: YamlPath, atKey: boolean): number {
  let node: unknown = root;
  let offset = offsetOf(root);
  for (const [index, part] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((candidate) => keyText(candidate) === part);
      if (pair === undefined) return offset;
      const last = index === path.length - 1;
      offset = (last && atKey) || !hasText(pair.value) ? offsetOf(pair.key) : offsetOf(pair.value);
      node = pair.value;
    } else if (typeof node === 'object' && node !== null && 'items' in node && typeof part === 'number') {
      node = (node.items as unknown[])[part];
      if (node === undefined) return offset;
      offset = offsetOf(node);
    } else {
      return offset;
    }
  }
  return offset;
}

function hasText(node: unknown): boolean {
  return !isScalar(node) || node.source !== '';
}

function offsetOf(node: unknown): number {
  if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)) {
    return Number(node.range[0]);
  }
  return 0;
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? message;
}
