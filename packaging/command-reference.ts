// docs/commands.md: every command with its arguments and options, from the program itself.

import { allOf, type CommandShape } from '../cli/completion/command-shape.ts';

export function commandReference(program: CommandShape): string {
  return `# Commands

Every command with its arguments and options, generated from the program (\`npm run generate\`). What they do, in sentences: [cli.md](cli.md).
Each takes \`--json\`, \`--help\` and \`--version\` as well.

${allOf(program)
  .filter(({ path }) => path !== '')
  .map(sectionOf)
  .join('\n\n')}
`;
}

function sectionOf(shape: CommandShape): string {
  const usage = [
    `portcullis ${shape.path}`,
    ...(shape.options.some(isOwn) ? ['[options]'] : []),
    ...(shape.commands.length > 0 ? ['COMMAND'] : []),
    ...(shape.passesOn ? ['--'] : []),
    ...shape.arguments.map(({ name, required, variadic }) => {
      const text = `${name}${variadic ? '...' : ''}`;
      return required ? `<${text}>` : `[${text}]`;
    }),
  ].join(' ');
  const rows = [
    ...shape.arguments.map(({ name, description }) => [`\`${name}\``, description]),
    ...shape.options.filter(isOwn).map(({ flags, value, variadic, required, description }) => {
      const behind = value === undefined ? '' : ` <${value}${variadic ? '...' : ''}>`;
      return [`\`${flags.join(', ')}${behind}\``, `${description}${required ? ' (required)' : ''}`];
    }),
  ].map(([name, text]) => `| ${name} | ${(text ?? '').replaceAll('|', '\\|')} |`);
  const table = rows.length === 0 ? [] : ['', '| | |', '|---|---|', ...rows];
  return [`## ${shape.path}`, '', `\`${usage}\`: ${shape.summary}`, ...table].join('\n');
}

/** What every command has is said once. */
function isOwn({ flags }: { readonly flags: readonly string[] }): boolean {
  return !flags.some((flag) => ['--json', '--help', '--version'].includes(flag));
}
