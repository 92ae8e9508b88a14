// The packages of Node that a file belongs to: its own, and those that this one and they declare as dependencies, found as Node finds them. A package that
// is loaded without being declared is not among them.

import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { PACKAGE_JSON_BYTES_MAX, PACKAGES_MAX } from './limits.ts';

export interface PackageRoot {
  readonly role: 'package' | 'dependency' | 'python' | 'store' | 'linked';
  /** Every link followed. */
  readonly root: string;
  /** All of it. Otherwise without its own `node_modules`, of which the declared packages stand for themselves. */
  readonly whole: boolean;
}

export class NodePackages {
  /** The package around a file and everything that it needs. Nothing where no `package.json` is above the file. */
  around(file: string): PackageRoot[] {
    const root = packageRootOf(file);
    return root === undefined ? [] : this.#closure(root, 'package');
  }

  /** The package that a name means in a folder. */
  named(specifier: string, folder: string): PackageRoot[] {
    const name = specifier.startsWith('@')
      ? specifier.split('/').slice(0, 2).join('/')
      : (specifier.split('/')[0] ?? '');
    const root = name === '' || name.startsWith('node:') ? undefined : found(name, folder);
    return root === undefined ? [] : this.#closure(root, 'dependency');
  }

  #closure(first: string, role: 'package' | 'dependency'): PackageRoot[] {
    const roots = new Set([first]);
    for (const root of roots) {
      for (const name of dependenciesOf(root)) {
        const dependency = found(name, root);
        if (dependency !== undefined) roots.add(dependency);
      }
      if (roots.size > PACKAGES_MAX) throw new Error(`${first} needs more than ${PACKAGES_MAX} packages`);
    }
    return [...roots].map((root) => ({ role: root === first ? role : 'dependency', root, whole: false }));
  }
}

/** The nearest folder above with a `package.json` that names a package; one without a name only says how its folder is read. */
export function packageRootOf(file: string): string | undefined {
  let nearest: string | undefined;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) {
      nearest ??= folder;
      if (typeof manifestOf(folder).name === 'string') return folder;
    }
    if (dirname(folder) === folder) return nearest;
  }
}

function dependenciesOf(root: string): string[] {
  const { dependencies, optionalDependencies, peerDependencies } = manifestOf(root);
  return [dependencies, optionalDependencies, peerDependencies].flatMap((one) =>
    isJsonObject(one) ? Object.keys(one) : [],
  );
}

function manifestOf(root: string): { readonly [member: string]: Json } {
  const path = join(root, 'package.json');
  try {
    if (statSync(path).size > PACKAGE_JSON_BYTES_MAX) return {};
    const json = JSON.parse(readFileSync(path, 'utf8')) as Json;
    return isJsonObject(json) ? json : {};
  } catch {
    // Whatever it is, it is measured as it lies there.
    return {};
  }
}

/** As Node looks for it: in the `node_modules` of each folder upwards. */
function found(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    if (!folder.endsWith('/node_modules')) {
      const candidate = join(folder, 'node_modules', name);
      if (statSync(candidate, { throwIfNoEntry: false })?.isDirectory() === true) return realpathSync(candidate);
    }
    if (dirname(folder) === folder) return undefined;
  }
}
