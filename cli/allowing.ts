// Which tools of a server are allowed when it was approved: said on the command line, or asked for where no rule speaks of it yet.

import type { ServerDefinition } from '../control-plane/integrity/definition.ts';
import { visibleText } from '../domain/visible-text.ts';
import { answerTo } from './asking.ts';
import { findHome } from './home.ts';
import { loadConfiguration } from './open-gate.ts';
import { CommandError, type Output } from './output.ts';
import { type Allowing, allowTools, chosenTools, isSpokenOf } from './starter-rules.ts';

/** What of it is allowed from now on: what was asked for, or, where no rule speaks of it yet, what its owner answers. */
export async function allowOf(
  name: string,
  live: ServerDefinition | undefined,
  options: Allowing & { readonly config?: string },
  interactive: boolean,
  out: Output,
): Promise<{ allowed?: readonly string[] }> {
  // Read again: rules for the server before it may have been written just now.
  const configuration = loadConfiguration(findHome(), options.config);
  if (live === undefined || configuration === undefined) return {};
  const isAsked = options.allow !== undefined || options.allowReadOnly === true;
  if (!isAsked && (!interactive || isSpokenOf(configuration, name))) return {};
  const names = isAsked ? chosenTools(name, live, options) : await answeredTools(name, live, out);
  const rules = allowTools(configuration, name, live, names);
  if (rules === undefined) {
    if (isAsked)
      out.line(
        names.length === 0
          ? `${name}  says of no tool that it only reads`
          : `${name}  has rules for these tools already`,
      );
    return { allowed: [] };
  }
  out.line(`${name}  allowed: ${rules.allowed.map((tool) => visibleText(tool, 80)).join(', ')}`);
  out.line(`    ${visibleText(rules.file)}`);
  out.note('gates that run keep the rules that they began with: restart their clients');
  if (!rules.isRead) out.note(`${visibleText(rules.file)} is not among the policies of the manifest: add it there`);
  return { allowed: rules.allowed };
}

async function answeredTools(name: string, live: ServerDefinition, out: Output): Promise<readonly string[]> {
  const reading = chosenTools(name, live, { allowReadOnly: true });
  const answer = await answerTo(
    `no rule speaks of ${name} yet; allow [n]othing, what only [r]eads as it says (${reading.length} tools), or tools by name, with commas: `,
  );
  if (/^(n|no|nothing)?$/i.test(answer)) return [];
  if (/^r(eads)?$/i.test(answer)) return reading;
  try {
    return chosenTools(name, live, { allow: answer });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    out.note(error.message);
    for (const hint of error.hints) out.note(`hint: ${hint}`);
    out.note(`nothing was allowed; to do it: portcullis tools approve ${name} --allow TOOL,TOOL`);
    return [];
  }
}
