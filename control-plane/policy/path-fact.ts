// What the rules may know about paths: `within`, the roots that contain all of them, and `touches`, the classes that any of them falls
// into. `within` is exact, because it allows; `touches` also matches look-alikes, because it forbids. A path that cannot be judged
// beyond doubt is refused, not described. It cannot see hard links, nor what happens to the file system after it looked.

import { globParts, matchesGlob } from './glob.ts';
import { PATH_BYTES_MAX, PATH_SEGMENTS_MAX } from './limits.ts';
import type { FactSpec } from './manifest.ts';
import type { PathResolver } from './ports.ts';

export type PathSpec = Extract<FactSpec, { kind: 'path' }>;

export type PathFact =
  | { readonly ok: true; readonly within: readonly string[]; readonly touches: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/** The segments of an absolute path as it is spelled, without `.` and `..`; undefined for one that cannot be judged beyond doubt. */
export function lexicalPath(path: string): readonly string[] | undefined {
  return isAbsolutePath(path) && hostile(path) === undefined ? normalise(path) : undefined;
}

export function isAbsolutePath(path: string): boolean {
  return path.startsWith('/');
}

/** The fact for all paths of one call; `paths` is not empty. */
export function pathFact(spec: PathSpec, paths: readonly string[], resolver: PathResolver): PathFact {
  const within = new Set<string>();
  const touches = new Set<string>();
  const roots = rootsOf(spec, resolver);
  for (const root of roots.keys()) within.add(root);
  const classes = Object.entries(spec.classes).map(([name, patterns]) => ({
    name,
    patterns: patterns.map((pattern) => globParts(pattern).map(foldName)),
  }));
  let segments = 0;
  for (const path of paths) {
    const refusal = hostile(path);
    if (refusal !== undefined) return { ok: false, reason: refusal };
    segments += path.split('/').length;
    if (segments > PATH_SEGMENTS_MAX) return { ok: false, reason: 'the paths have too many segments' };
    const forms = spec.relative ? relativeForms(path) : absoluteForms(path, resolver);
    if (!forms.ok) return forms;
    for (const [root, directory] of roots) if (!contains(directory, forms.canonical)) within.delete(root);
    const spellings = [forms.lexical, forms.canonical].map((parts) => parts.map(foldName));
    for (const { name, patterns } of classes) {
      if (touches.has(name)) continue;
      if (patterns.some((pattern) => spellings.some((parts) => matchesGlob(pattern, parts)))) touches.add(name);
    }
  }
  return { ok: true, within: [...within].sort(), touches: [...touches].sort() };
}

interface Forms {
  readonly ok: true;
  /** Without `.` and `..`, as the request spells it. */
  readonly lexical: readonly string[];
  /** Where it leads. */
  readonly canonical: readonly string[];
}

type FormsResult = Forms | { readonly ok: false; readonly reason: string };

function absoluteForms(path: string, resolver: PathResolver): FormsResult {
  if (!isAbsolutePath(path)) return { ok: false, reason: 'a path is relative' };
  const lexical = normalise(path);
  if (lexical === undefined) return { ok: false, reason: 'a path leads above its root' };
  const real = resolver.real(path);
  if (!real.ok) return { ok: false, reason: `a path cannot be resolved: ${real.reason}` };
  return { ok: true, lexical, canonical: globParts(real.path) };
}

function relativeForms(path: string): FormsResult {
  if (isAbsolutePath(path)) return { ok: false, reason: 'a path is absolute' };
  const lexical = normalise(path);
  if (lexical === undefined) return { ok: false, reason: 'a path leads above its root' };
  return { ok: true, lexical, canonical: lexical };
}

/** Segments without `.`, `..` and empty ones; undefined when `..` leads above the start of a path. */
function normalise(path: string): string[] | undefined {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts;
}

/** Roots by name, canonical. One that cannot be resolved contains nothing. */
function rootsOf(spec: PathSpec, resolver: PathResolver): Map<string, readonly string[]> {
  const roots = new Map<string, readonly string[]>();
  for (const [name, directory] of Object.entries(spec.roots)) {
    if (spec.relative) {
      const parts = normalise(directory);
      if (parts !== undefined) roots.set(name, parts);
    } else {
      const real = resolver.real(directory);
      if (real.ok) roots.set(name, globParts(real.path));
    }
  }
  return roots;
}

export function contains(root: readonly string[], path: readonly string[]): boolean {
  return root.every((part, index) => path[index] === part);
}

/** Names that some file system takes for the same: compatibility forms, case, characters that are not shown, trailing dots and spaces. */
function foldName(name: string): string {
  const folded = name
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase();
  return folded.replace(/[. ]+$/u, '') || folded;
}

/** Why a path is refused whatever it leads to: another reader could take it for another path. */
function hostile(path: string): string | undefined {
  if (path === '') return 'a path is empty';
  if (path.length > PATH_BYTES_MAX) return 'a path is too long';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here.
  if (/[\u0000-\u001f\u007f-\u009f]/.test(path)) return 'a path has a control character';
  if (path.includes('\\')) return 'a path has a backslash';
  if (path.startsWith('~')) return 'a path begins with "~"';
  if (/%(2e|2f|5c|00|25)/i.test(path)) return 'a path has percent-encoded dots or separators';
  const compatible = path.normalize('NFKC');
  if (compatible !== path && (separators(compatible) !== separators(path) || compatible.includes('\\'))) {
    return 'a path has look-alikes of dots or separators';
  }
  return undefined;
}

/** The skeleton of separators and dot segments: equal skeletons, equal structure. */
function separators(path: string): string {
  return path
    .split('/')
    .map((part) => (part === '.' || part === '..' ? part : 'x'))
    .join('/');
}
