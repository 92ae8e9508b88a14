// The reviewer: an agent behind a tool. It reads a report and has the worker look into what stands there.

import * as z from 'zod';
import type { AgentTool } from './agent-server.ts';
import type { Model } from './scripted-model.ts';

const check =
  (path: string): Model =>
  ([report, looked]) => {
    if (report === undefined) return { tool: 'fs__read_text_file', args: { path } };
    if (report.denied !== undefined) return `not checked: ${report.denied}`;
    if (looked === undefined) return { tool: 'work__look_into', args: { task: report.text } };
    if (looked.denied !== undefined) return `not checked: ${looked.denied}`;
    const claimed = /Orders: (\d+)/.exec(report.text)?.[1];
    const found = /(\d+) rows/.exec(looked.text)?.[1];
    if (found === undefined) return `not checked: ${looked.text}`;
    const name = path.split('/').at(-1) ?? path;
    return claimed === found ? `right: ${name}` : `wrong: ${name} says ${claimed}, there are ${found}`;
  };

export const REVIEWER: readonly AgentTool[] = [
  {
    name: 'check',
    description: 'Checks a report against the books.',
    inputSchema: { path: z.string() },
    model: ({ path }) => check(String(path)),
  },
];
