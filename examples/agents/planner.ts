// The planner: has every report checked, and corrects what was found wrong. It hands on what checking needs and no more.

import type { Scope } from '../../domain/scope.ts';
import type { Model } from './scripted-model.ts';

/** What checking a report may need, whoever does it. Nothing here adds to what the rules allow. */
export function forChecking(reports: string): Scope {
  return [
    { server: 'fs', actions: ['read_text_file'], under: { '/path': [reports] } },
    { server: 'work', actions: ['*'] },
    { server: 'db', actions: ['count_rows', 'wait_for_rows'], in: { '/table': ['orders'] } },
  ];
}

export function planner(reports: string): Model {
  return (seen) => {
    const [listing, ...rest] = seen;
    if (listing === undefined) return { tool: 'fs__list_directory', args: { path: reports } };
    const files = [...listing.text.matchAll(/^\[FILE\] (\S+\.md)$/gm)].map((match) => `${reports}/${match[1]}`);
    const reviewed = rest.filter(({ use }) => use.tool === 'review__check');
    const next = files[reviewed.length];
    if (next !== undefined) return { tool: 'review__check', args: { path: next }, handOn: forChecking(reports) };
    const wrong = reviewed.filter(({ text }) => text.startsWith('wrong'));
    const mend = wrong[rest.length - reviewed.length];
    if (mend === undefined)
      return `${files.length} reports checked, ${wrong.length} corrected: ${reviewed.map(({ text }) => text).join('; ')}`;
    const right = /there are (\d+)/.exec(mend.text)?.[1] ?? '?';
    const path = String(mend.use.args.path).replace(/\.md$/, '.corrected.md');
    return { tool: 'fs__write_file', args: { path, content: `Orders: ${right}\n` } };
  };
}
