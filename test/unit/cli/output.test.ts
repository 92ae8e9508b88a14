import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { output } from '../../../cli/output.ts';

it('an answer is heard until its reader has gone, even where the stream can be written again', () => {
  const stdout = Object.assign(new EventEmitter(), { write: () => true, writable: true });
  const out = output(false, { stdout, stderr: { write: () => true } });
  expect(out.heard()).toBe(true);
  stdout.emit('error', Object.assign(new Error('EPIPE'), { code: 'EPIPE' }));
  expect(out.heard()).toBe(false);
});

it('listens to a stream once, however many outputs a process has', () => {
  const stdout = Object.assign(new EventEmitter(), { write: () => true });
  const all = Array.from({ length: 20 }, () => output(false, { stdout, stderr: { write: () => true } }));
  expect(stdout.listenerCount('error')).toBe(1);
  stdout.emit('error', new Error('EPIPE'));
  expect(all.filter((out) => out.heard())).toEqual([]);
});
