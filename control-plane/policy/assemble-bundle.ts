// From a source's texts to a bundle. Apart from bundle.ts, because reading the text of a manifest takes libraries that who has read it before
// need not load.

import { type BundleResult, bundleOf, type DigestOf } from './bundle.ts';
import { parseManifest } from './parse-manifest.ts';
import type { PolicyLanguage } from './ports.ts';
import type { PolicySource } from './source.ts';

/** Assembles a bundle. Refuses on any error or warning in any part. May throw what the engine throws. */
export function assembleBundle(source: PolicySource, language: PolicyLanguage, digestOf: DigestOf): BundleResult {
  const parsed = parseManifest(source.manifest.text, source.manifest.file);
  return parsed.ok ? bundleOf(parsed, source, language, digestOf) : parsed;
}
