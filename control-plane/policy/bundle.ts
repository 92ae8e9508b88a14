// A bundle: manifest, rules and schema, checked together and named by one digest. Either all of it is good or there is no bundle.

import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Digest, Sha256 } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';
import { lintRules, type Rule } from './lint.ts';
import type { Manifest } from './manifest.ts';
import type { PolicyJson } from './policy-json.ts';
import type { PolicyLanguage } from './ports.ts';
import { buildSchema, type SchemaModel } from './schema.ts';
import { type Slice, sliceFor } from './slice.ts';
import type { PolicySource, Problem } from './source.ts';
import type { YamlDocument } from './yaml-document.ts';

export interface Bundle {
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly model: SchemaModel;
  /** By id, sorted. */
  readonly rules: ReadonlyMap<string, Rule>;
  /** By action. */
  readonly slices: ReadonlyMap<string, Slice>;
  /** Servers of the manifest whose tools are not known here, and all rules as they were written: who may know of such a server. */
  readonly absent: ReadonlySet<string>;
  readonly written: readonly PolicyJson[];
}

/** A manifest, and where its parts stand in its text. */
export interface ParsedManifest {
  readonly manifest: Manifest;
  readonly document: YamlDocument;
}

export type BundleResult =
  | { readonly ok: true; readonly bundle: Bundle }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Whether a manifest, rules and tools fit together. Refuses on any error or warning in any part. May throw what the engine throws. */
export function bundleOf(
  { manifest, document }: ParsedManifest,
  source: Omit<PolicySource, 'manifest'>,
  language: PolicyLanguage,
  digestOf: DigestOf,
): BundleResult {
  const schema = buildSchema(manifest, document, source.tools);
  if (!schema.ok) return schema;
  const served = new Set(source.tools.map(({ server }) => server));
  const absent = new Set(Object.keys(manifest.servers).filter((server) => !served.has(server)));
  const presence = { namespace: manifest.namespace, absent, groups: manifest.groups };
  const linted = lintRules(source.policies, schema.model.schema, language, presence);
  if (!linted.ok) return linted;
  const rules = new Map([...linted.rules].sort(([a], [b]) => (a < b ? -1 : 1)));
  const policies = [...rules].map(([id, { text }]) => ({ id, text }));
  // The parsed manifest came from JSON through a schema of JSON types.
  const digest = digestOf(canonicalJson({ manifest: manifest as Json, policies, schema: schema.model.schema }));
  const { model } = schema;
  const slices = new Map(
    [...model.actions.values()].map((tool) => [tool.action, sliceFor(model, rules.values(), tool)]),
  );
  return { ok: true, bundle: { digest, manifest, model, rules, slices, absent, written: linted.written } };
}

/** SHA-256 of a text's UTF-8 form as a digest. */
export type DigestOf = (text: string) => Digest;

/** `sha256:` and base64url, from a hash function. */
export function digestWith(sha256: Sha256): DigestOf {
  return (text) => `sha256:${encodeBase64url(sha256(new TextEncoder().encode(text)))}`;
}
