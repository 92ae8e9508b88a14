// The command line of the bench.

import { parseArgs } from 'node:util';
import { TARGET_NAMES, type TargetName } from './targets.ts';

export const USAGE = `usage: npm run bench -- [--quick] [--json] [--layers] [--target NAME]...

  --quick         about one minute: shorter windows, fewer rounds; good for a glance, not for a claim
  --json          print every figure as JSON on standard output instead of the tables
  --layers        measure nothing else: run Portcullis under the CPU profiler and say where its time goes
  --target NAME   measure only this target beside the direct one and the raw relay; may be given more than once
                  (${TARGET_NAMES.join(', ')})
`;

export interface Options {
  readonly json: boolean;
  readonly layers: boolean;
  readonly targets: readonly TargetName[];
  readonly rounds: number;
  readonly windowSeconds: number;
  readonly warmUpSeconds: number;
  readonly startUps: number;
}

/** Returns a message instead when the arguments cannot be understood, and the empty message when help was asked for. */
export function readOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        layers: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        target: { type: 'string', multiple: true, default: [] },
      },
    });
    if (values.help) return '';
    const unknown = values.target.find((name) => !TARGET_NAMES.some((known) => known === name));
    if (unknown !== undefined) return `there is no target "${unknown}"`;
    const asked = TARGET_NAMES.filter((name) => values.target.includes(name));
    // The ratios need both ends of the scale in the same run.
    const targets =
      asked.length === 0 ? TARGET_NAMES : TARGET_NAMES.filter((name) => isScale(name) || asked.includes(name));
    const length = values.quick
      ? { rounds: 3, windowSeconds: 0.35, warmUpSeconds: 0.5, startUps: 2 }
      : { rounds: 5, windowSeconds: 1.5, warmUpSeconds: 2, startUps: 5 };
    return { json: values.json, layers: values.layers, targets, ...length };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isScale(name: TargetName): boolean {
  return name === 'direct' || name === 'raw-relay';
}
