// The thread that measures: reading a program of a hundred megabytes and thousands of files must not hold up a call. It is told a command and answers
// with what it found. It remembers digests of files, so that servers which share a program share its hash.

import { parentPort } from 'node:worker_threads';
import { Defect } from '../../domain/defect.ts';
import { FileDigests } from './file-digests.ts';
import { measure } from './measurement.ts';
import type { MeasureAnswer, MeasureAsk } from './measuring-thread.ts';

const port = parentPort;
if (port === null) throw new Defect('measuring is done in a thread of its own');
const digests = new FileDigests();

port.on('message', ({ id, line, known }: MeasureAsk) => {
  let answer: MeasureAnswer;
  try {
    answer = { id, ok: true, found: measure(line, digests, known) };
  } catch (error) {
    answer = { id, ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(answer);
});
