// Stands in for the document of a manifest whose text is not at hand. What is wrong is still found; where it stands is not known, so nobody
// is shown these problems: whoever finds one goes back to the text.

import type { YamlDocument } from './yaml-document.ts';

export function withoutPlaces(file: string): YamlDocument {
  return {
    file,
    value: null,
    problem: (_path, message) => ({ file, line: 1, column: 1, path: '', message }),
  };
}
