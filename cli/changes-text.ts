// What changed in a definition, in one line for an operator. Names are hostile text: they are made visible, and cut.

import type { DefinitionChanges, ListChanges } from '../control-plane/integrity/definition.ts';
import { visibleText } from '../domain/visible-text.ts';

const NAMES_MAX = 5;

export function changesText({ launch, instructions, ...lists }: DefinitionChanges): string {
  const parts = [
    ...(launch ? ['how it is started'] : []),
    ...(instructions ? ['its instructions'] : []),
    ...listText('tool', lists.tools),
    ...listText('prompt', lists.prompts),
    ...listText('template', lists.resourceTemplates),
  ];
  return parts.join('; ');
}

function listText(kind: string, { changed, added, removed }: ListChanges): string[] {
  const said = [
    ['changed', changed],
    ['added', added],
    ['gone', removed],
  ] as const;
  return said
    .filter(([, names]) => names.length > 0)
    .map(([what, names]) => {
      const shown = names.slice(0, NAMES_MAX).map((name) => visibleText(name, 80));
      const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : '';
      return `${kind}s ${what}: ${shown.join(', ')}${more}`;
    });
}
