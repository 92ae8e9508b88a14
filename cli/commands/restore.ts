// portcullis restore: the files of clients as they were before init. What nobody changed since goes back byte for byte; of the rest only our entries, and
// only after that was shown.

import type { PlannedChange } from '../../adapters/clients/backups.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { confirmed, mayAsk } from '../asking.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, type Home } from '../home.ts';
import { backupsOf, whileWriting } from '../onboarding/client-files.ts';
import { placeText } from '../onboarding/plan-text.ts';
import { type RestoredFile, restorePlan, type StuckFile } from '../onboarding/restore-plan.ts';
import type { Output } from '../output.ts';

export interface RestoreOptions {
  readonly client?: readonly string[];
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export interface Restored {
  /** All of it is as it was, or has nothing of ours any more. */
  readonly whole: boolean;
  readonly answer: object;
}

export async function restore(options: RestoreOptions, out: Output, home = findHome()): Promise<number> {
  const { whole, answer } = await restored(home, options, out);
  out.answer(answer);
  return whole ? EXIT.ok : EXIT.error;
}

export async function restored(home: Home, options: RestoreOptions, out: Output): Promise<Restored> {
  const backups = backupsOf(home);
  const asks = mayAsk(out) && options.yes !== true;
  const isNamed = options.all === true || options.client !== undefined;
  const isDry = options.dryRun === true || (!isNamed && options.yes !== true && !asks);
  // What a run that was cut off left is known before anything is planned.
  if (!isDry) await whileWriting(home, out, async () => undefined);
  const { files, stuck } = restorePlan(backups, options.client);
  for (const file of files) tell(file, out);
  for (const { why } of stuck) out.note(`left as it is: ${visibleText(why)}`);
  if (files.length === 0 && stuck.length === 0) out.line('nothing is to be taken back');
  if (isDry) {
    if (files.length > 0) out.line('nothing was written; to do it: portcullis restore --all --yes');
    return { whole: true, answer: answerOf(files, stuck, new Set(), true) };
  }
  // Who names what is to go back has said so; what would be edited is asked for all the same.
  const sure = files.filter(({ how }) => options.yes === true || (isNamed && how !== 'entries'));
  const unsure = files.filter((file) => !sure.includes(file));
  const agreed = unsure.length > 0 && asks && (await confirmed('take this back? [y/N] '));
  const chosen = agreed ? files : sure;
  const outcomes =
    chosen.length === 0
      ? []
      : await whileWriting(home, out, async () => backups.apply('restore', chosen.map(changeOf)));
  const done = new Set(outcomes.filter(({ state }) => state === 'written').map(({ file }) => file));
  for (const { file, state, problem } of outcomes) {
    if (state === 'written') out.line(`restored ${placeText(file)}`);
    if (problem !== undefined) out.note(visibleText(problem.text));
    if (problem?.hint !== undefined) out.note(`hint: ${problem.hint}`);
  }
  for (const { file } of unsure)
    if (!done.has(file))
      out.note(
        `${placeText(file)} was changed since and was left as it is; to edit it: portcullis restore --all --yes`,
      );
  if (done.size > 0) out.line('clients that run now go on as they were started: restart them');
  return {
    whole: stuck.length === 0 && files.every(({ file }) => done.has(file)),
    answer: answerOf(files, stuck, done, false),
  };
}

function tell({ file, how, lines, remarks }: RestoredFile, out: Output): void {
  const what = {
    bytes: 'back to its bytes as they were',
    entries: 'was changed since: only these entries',
    nothing: 'nothing is to be written',
  };
  out.line(`${placeText(file)}  ${what[how]}`);
  for (const line of lines) out.line(line);
  for (const remark of remarks) out.line(`  ${visibleText(remark, 400)}`);
}

function changeOf({ file, client, before, after, undoes }: RestoredFile): PlannedChange {
  return { file, client, before, after, undoes };
}

function answerOf(
  files: readonly RestoredFile[],
  stuck: readonly StuckFile[],
  done: ReadonlySet<string>,
  dryRun: boolean,
): object {
  return {
    dryRun,
    files: files.map(({ file, client, how, remarks }) => ({ file, client, how, restored: done.has(file), remarks })),
    stuck,
  };
}
