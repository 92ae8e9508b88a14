// portcullis.yaml as a value that cannot be wrong: every key is known, every name exists, no secret is written down. Reading the file and
// looking at real tools happen elsewhere.

import { MANIFEST_SCHEMA, type Manifest } from './manifest.ts';
import { checkManifest } from './manifest-checks.ts';
import { issueProblems } from './manifest-problems.ts';
import type { Problem } from './source.ts';
import { readYaml, type YamlDocument } from './yaml-document.ts';

export type ManifestResult =
  | { readonly ok: true; readonly manifest: Manifest; readonly document: YamlDocument }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Parses a manifest. Refuses with every problem found, each at its line and column; never repairs. */
export function parseManifest(source: string, fileName: string): ManifestResult {
  const read = readYaml(source, fileName);
  if (!read.ok) return read;
  const parsed = MANIFEST_SCHEMA.safeParse(read.document.value);
  if (!parsed.success) {
    return { ok: false, problems: issueProblems(parsed.error.issues, MANIFEST_SCHEMA, read.document) };
  }
  const problems = checkManifest(parsed.data, read.document);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, manifest: parsed.data, document: read.document };
}
