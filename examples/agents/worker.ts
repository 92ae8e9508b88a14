// The worker: does what it is told, also by a text that it should not have believed. What it then reaches is not for it to say.

import * as z from 'zod';
import type { AgentTool } from './agent-server.ts';
import type { Model, ToolUse } from './scripted-model.ts';

/** Reads its work from the text: a quarter to count or to wait for, and whatever else the text asks for. */
const lookInto = (task: string): Model => {
  const quarter = /# (Q\d)/.exec(task)?.[1] ?? '';
  const waitFor = /wait for (\d+)/i.exec(task)?.[1];
  const copied = /copy (\S+)/i.exec(task)?.[1];
  const where = { table: 'orders', column: 'quarter', equals: quarter };
  const steps: ToolUse[] = [
    waitFor === undefined
      ? { tool: 'db__count_rows', args: where }
      : { tool: 'db__wait_for_rows', args: { ...where, atLeast: Number(waitFor) } },
  ];
  if (copied !== undefined) steps.push({ tool: 'fs__read_text_file', args: { path: copied } });
  return (seen) => steps[seen.length] ?? seen.map(({ text, denied }) => denied ?? text.trim()).join('\n');
};

export const WORKER: readonly AgentTool[] = [
  {
    name: 'look_into',
    description: 'Looks into what a text is about.',
    inputSchema: { task: z.string() },
    model: ({ task }) => lookInto(String(task)),
  },
];
