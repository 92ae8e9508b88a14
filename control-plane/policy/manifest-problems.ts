// The validator's issues as problems a person can act on: at the offending key, with the nearest known one, and plainly said where a key
// belongs to a part that is not supported yet.

import { z } from 'zod';
import { nearest } from './nearest.ts';
import type { Problem } from './source.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

/** Keys of the format's next steps, by the path of their parent (`*` for any name). Refused, never ignored. */
const NOT_YET: ReadonlyMap<string, readonly string[]> = new Map([
  ['', ['approvals', 'budgets', 'lineage', 'sandbox', 'pin']],
  ['defaults', ['maxDepth', 'maxChildren', 'maxTreeNodes']],
  ['servers.*', ['pin']],
]);

/** Where people look for a key, and where it is. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map(
  ['memoryMb', 'cpuSeconds', 'processes'].map((key) => [`servers.*.sandbox.${key}`, `stdio.resources.${key}`]),
);

type Issue = z.core.$ZodIssue;

export function issueProblems(issues: readonly Issue[], schema: z.ZodType, document: YamlDocument): Problem[] {
  return issues.flatMap((issue) => problemsOf(issue, [], schema, document));
}

function problemsOf(issue: Issue, base: YamlPath, schema: z.ZodType, document: YamlDocument): Problem[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey([...path, key], path, key, schema, document));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // Speak about the branch that the value was probably meant for: the one that got furthest.
    const branch = [...issue.errors].sort((a, b) => depth(b) - depth(a))[0];
    if (branch !== undefined && depth(branch) > 0) {
      return branch.flatMap((inner) => problemsOf(inner, path, schema, document));
    }
  }
  if (issue.code === 'invalid_key') {
    const reason = issue.issues[0]?.message ?? issue.message;
    return [document.problem(path, `${lastOf(path)}: ${reason}`, { atKey: true })];
  }
  return [document.problem(path, `${subject(path)}${sentence(issue)}`)];
}

function unknownKey(at: YamlPath, parent: YamlPath, key: string, schema: z.ZodType, document: YamlDocument): Problem {
  const known = knownKeys(schema, parent);
  if (NOT_YET.get(generic(parent))?.includes(key)) {
    return document.problem(at, `"${key}" is not supported yet: this version does not enforce it, so it refuses it`, {
      atKey: true,
    });
  }
  const suggestion = ELSEWHERE.get(generic(at)) ?? nearest(key, known);
  const where = parent.length === 0 ? '' : ` in ${lastOf(parent)}`;
  return document.problem(at, `unknown key "${key}"${where}`, { atKey: true, suggestion });
}

function sentence(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.message.endsWith('received undefined')) return 'is missing';
      if (!issue.message.startsWith('Invalid input')) return issue.message;
      return `expected ${FORMS[issue.expected] ?? issue.expected}, found ${foundForm(issue.message)}`;
    case 'invalid_value':
      if (!issue.message.startsWith('Invalid')) return issue.message;
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_big':
      return `at most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`;
    case 'too_small':
      return `at least ${issue.minimum}${issue.origin === 'string' ? ' characters' : ''}`;
    default:
      return lowerFirst(issue.message);
  }
}

const FORMS: Record<string, string> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  null: 'nothing',
};

function foundForm(message: string): string {
  const received = /received (\w+)$/.exec(message)?.[1] ?? 'something else';
  return FORMS[received] ?? received;
}

function subject(path: YamlPath): string {
  return path.length === 0 ? '' : `"${lastOf(path)}": `;
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

function lastOf(path: YamlPath): string {
  const last = path.at(-1);
  return typeof last === 'number' ? `${String(path.at(-2) ?? '')}[${last}]` : String(last ?? '');
}

/** How deep the deepest issue of a branch lies; an unknown key counts one level, since the value was at least a mapping. */
function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)));
}

const NAMED: readonly string[] = ['servers', 'agents', 'facts', 'groups'];

function generic(path: YamlPath): string {
  return path.map((part, index) => (index === 1 && NAMED.includes(String(path[0])) ? '*' : part)).join('.');
}

/** The keys that the schema knows at a path. */
function knownKeys(schema: z.core.$ZodType, path: YamlPath): string[] {
  const plain = unwrap(schema);
  if (plain instanceof z.ZodUnion) return plain.options.flatMap((option) => knownKeys(option, path));
  const [head, ...rest] = path;
  if (head === undefined) return plain instanceof z.ZodObject ? Object.keys(plain.shape) : [];
  if (plain instanceof z.ZodObject) {
    const inner = (plain.shape as Record<string, z.core.$ZodType>)[String(head)];
    return inner === undefined ? [] : knownKeys(inner, rest);
  }
  if (plain instanceof z.ZodRecord) return knownKeys(plain.valueType, rest);
  if (plain instanceof z.ZodArray) return knownKeys(plain.element, rest);
  return [];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.def.innerType);
  }
  return schema;
}
