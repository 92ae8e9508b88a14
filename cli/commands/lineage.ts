// portcullis lineage: the tree of calls in which one stands, from the ledgers alone: who called what for whom, what could be done at most, and how it
// ended.

import { basename } from 'node:path';
import { readEntries } from '../../adapters/storage/ledger-reader.ts';
import type { Entry } from '../../domain/entry.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { EXIT } from '../exit-codes.ts';
import { findLedger, type LedgerFolder, ownLedgers } from '../ledger-folder.ts';
import { type CallNode, lineageTrees, treeWith } from '../lineage-tree.ts';
import { CommandError, type Output } from '../output.ts';

export interface LineageOptions {
  readonly ledger?: readonly string[];
  readonly dot?: boolean;
}

export async function lineage(call: string, options: LineageOptions, out: Output): Promise<number> {
  const ledgers = options.ledger === undefined ? ownLedgers() : options.ledger.map(findLedger);
  const entries: (readonly [string, Entry])[] = [];
  for (const ledger of ledgers)
    for await (const entry of readEntries(ledger.dir)) entries.push([gateOf(ledger), entry]);
  const tree = treeWith(lineageTrees(entries), call);
  if (tree === undefined)
    throw new CommandError(`no ledger here knows the call ${visibleText(call, 60)}`, EXIT.error, [
      'portcullis log shows the ids of calls',
      'calls of another gate are in its ledger: --ledger FOLDER',
    ]);
  if (out.json) out.answer(answerOf(tree));
  else if (options.dot === true) for (const line of dotOf(tree)) out.line(line);
  else for (const line of linesOf(tree, call, ledgers.length > 1)) out.line(line);
  return EXIT.ok;
}

function gateOf({ gate }: LedgerFolder): string {
  return basename(gate);
}

function answerOf(node: CallNode): JsonObject {
  const { gate, call, root, link, agent, method, target, at, origin, issuer, scopes, outcome, ms } = node;
  return {
    gate,
    call,
    root,
    link,
    agent,
    method,
    target,
    at,
    ...(origin === undefined ? {} : { origin }),
    ...(issuer === undefined ? {} : { issuer }),
    scopes: scopes as Json,
    outcome,
    ...(ms === undefined ? {} : { ms }),
    children: node.children.map(answerOf),
  };
}

function linesOf(node: CallNode, marked: string, named: boolean, before = '', last = true, top = true): string[] {
  const branch = top ? '' : `${before}${last ? '└─ ' : '├─ '}`;
  const below = top ? '' : `${before}${last ? '   ' : '│  '}`;
  const mark = node.call === marked && !top ? ' ◀' : '';
  const link = { root: '', calls: '', asks: 'asks ', continues: 'continues ' }[node.link];
  const took = node.ms === undefined ? '' : ` after ${node.ms} ms`;
  const where = named ? `  at ${visibleText(node.gate, 64)}` : '';
  const head = `${branch}${visibleText(node.call)}  ${link}${visibleText(node.agent, 64)}  ${visibleText(node.target, 140)}`;
  const lines = [`${head}  ${visibleText(node.outcome, 60)}${took}${where}${mark}`];
  for (const scope of node.scopes) lines.push(`${below}   at most ${visibleText(JSON.stringify(scope), 300)}`);
  for (const [at, child] of node.children.entries())
    lines.push(...linesOf(child, marked, named, below, at === node.children.length - 1, false));
  return lines;
}

/** For Graphviz. Text of others stands in quotes and cannot leave them. */
function dotOf(tree: CallNode): string[] {
  const lines = ['digraph lineage {', '  node [shape=box, fontname=monospace];'];
  const quoted = (text: string): string => JSON.stringify(visibleText(text, 200));
  const add = (node: CallNode): void => {
    lines.push(`  ${quoted(node.call)} [label=${quoted(`${node.agent}\n${node.target}\n${node.outcome}`)}];`);
    for (const child of node.children) {
      lines.push(`  ${quoted(node.call)} -> ${quoted(child.call)} [label=${quoted(child.link)}];`);
      add(child);
    }
  };
  add(tree);
  return [...lines, '}'];
}
