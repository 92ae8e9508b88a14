// portcullis lineage: the tree of calls in which one stands, from the ledgers alone: who called what for whom, what could be done at most, and how it
// ended.

import { basename } from 'node:path';
import { readLeaves } from '../../adapters/storage/ledger-reader.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { EXIT } from '../exit-codes.ts';
import { findLedger, type LedgerFolder, ownLedgers } from '../ledger-folder.ts';
import { type CallNode, isBroken, LineageForest, treeWith } from '../lineage-tree.ts';
import { CommandError, type Output } from '../output.ts';

export interface LineageOptions {
  readonly ledger?: readonly string[];
  readonly dot?: boolean;
}

export async function lineage(call: string, options: LineageOptions, out: Output): Promise<number> {
  const ledgers = options.ledger === undefined ? ownLedgers() : options.ledger.map(findLedger);
  const forest = new LineageForest();
  for (const ledger of ledgers)
    for await (const [entry, leaf] of readLeaves(ledger.dir)) forest.add(gateOf(ledger), entry, leaf);
  const tree = treeWith(forest.trees(), call);
  if (tree === undefined)
    throw new CommandError(`no ledger here knows the call ${visibleText(call, 60)}`, EXIT.error, [
      'portcullis log shows the ids of calls',
      'calls of another gate are in its ledger: --ledger FOLDER',
    ]);
  if (out.json) out.answer(answerOf(tree));
  else if (options.dot === true) for (const line of dotOf(tree, ledgers.length > 1)) out.line(line);
  else for (const line of linesOf(tree, { marked: call, named: ledgers.length > 1 })) out.line(line);
  if (!isBroken(tree)) return EXIT.ok;
  out.note('a ledger names an entry of another one that is not the one that is there: portcullis verify LEDGER LEDGER');
  return EXIT.verificationFailed;
}

function gateOf({ gate }: LedgerFolder): string {
  return basename(gate);
}

function answerOf(node: CallNode): JsonObject {
  const { gate, call, root, link, agent, method, target, at, origin, issuer, across, scopes, narrowed, outcome, ms } =
    node;
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
    ...(across === undefined ? {} : { across }),
    scopes: scopes as Json,
    ...(narrowed === undefined ? {} : { narrowed }),
    outcome,
    ...(ms === undefined ? {} : { ms }),
    children: node.children.map(answerOf),
  };
}

interface Drawing {
  readonly marked: string;
  /** Whether gates are named: there are several. */
  readonly named: boolean;
}

const LAST = '└─ ';
const LINKS = { root: '', calls: '', asks: 'asks ', continues: 'continues ' };
const ACROSS = {
  'both ways': ', linked both ways',
  'one way': ', linked one way',
  unseen: '',
  broken: ', LINK BROKEN',
};

/** `known`: what is said above it of what it may do at most. */
function linesOf(node: CallNode, drawing: Drawing, known: readonly string[] = [], before = '', place = ''): string[] {
  const { marked, named } = drawing;
  const mark = node.call === marked && place !== '' ? ' ◀' : '';
  const took = node.ms === undefined ? '' : ` after ${node.ms} ms`;
  const across = node.across === undefined ? '' : ACROSS[node.across];
  const where = named || across !== '' ? `  at ${visibleText(node.gate, 64)}${across}` : '';
  const who = `${visibleText(node.call)}  ${LINKS[node.link]}${visibleText(node.agent, 64)}  ${visibleText(node.target, 140)}`;
  const lines = [`${before}${place}${who}  ${visibleText(node.outcome, 60)}${took}${where}${mark}`];
  const below = `${before}${place === '' ? '' : place === LAST ? '   ' : '│  '}`;
  const scopes = node.scopes.map((scope) => JSON.stringify(scope));
  const narrowed = node.narrowed === undefined ? [] : [JSON.stringify(node.narrowed)];
  for (const scope of scopes.filter((one) => !known.includes(one)))
    lines.push(`${below}   at most ${visibleText(scope, 300)}`);
  for (const scope of narrowed) lines.push(`${below}   hands on at most ${visibleText(scope, 300)}`);
  for (const [at, child] of node.children.entries())
    lines.push(
      ...linesOf(child, drawing, [...scopes, ...narrowed], below, at === node.children.length - 1 ? LAST : '├─ '),
    );
  return lines;
}

/** For Graphviz. Text of others stands in quotes and cannot leave them. */
function dotOf(tree: CallNode, named: boolean): string[] {
  const lines = ['digraph lineage {', '  node [shape=box, fontname=monospace];'];
  const quoted = (text: string): string => JSON.stringify(visibleText(text, 200));
  const add = (node: CallNode): void => {
    const about = `${node.agent}\n${node.target}\n${node.outcome}${named ? `\n${node.gate}` : ''}`;
    lines.push(`  ${quoted(node.call)} [label=${quoted(about)}];`);
    for (const child of node.children) {
      const link = child.across === undefined ? child.link : `${child.link}, ${child.across}`;
      lines.push(`  ${quoted(node.call)} -> ${quoted(child.call)} [label=${quoted(link)}];`);
      add(child);
    }
  };
  add(tree);
  return [...lines, '}'];
}
