// What a policy is made from: texts with their names, and the definitions of tools as their servers gave them.

import type { JsonObject } from '../../domain/json.ts';

export interface SourceText {
  /** Name of the file as the user knows it; appears in problems. */
  readonly file: string;
  readonly text: string;
}

/** The parts of an MCP tool definition that the policy reads. The rest is the pin's concern. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema: JsonObject;
  readonly outputSchema?: JsonObject;
}

export interface ServerTools {
  readonly server: string;
  readonly tools: readonly ToolDefinition[];
}

/** Everything a bundle is assembled from. Plain data: it crosses to the deciding thread. */
export interface PolicySource {
  readonly manifest: SourceText;
  readonly policies: readonly SourceText[];
  readonly tools: readonly ServerTools[];
}

/** Something in a source that must be put right. Lines and columns count from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Where in the document: `servers.fs.limits`, or the id of a rule. */
  readonly path: string;
  readonly message: string;
  readonly suggestion?: string;
  /** The server whose tools do not fit, where it is nobody else's. */
  readonly server?: string;
}

/** One line for a terminal: file:line:column: message (suggestion). */
export function problemText(problem: Problem): string {
  const hint = problem.suggestion === undefined ? '' : ` (did you mean ${problem.suggestion}?)`;
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}${hint}`;
}
