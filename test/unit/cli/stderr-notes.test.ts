// What an operator hears of a server's standard error.

import { expect, it } from 'vitest';
import { StderrNotes } from '../../../cli/stderr-notes.ts';

function listening() {
  const told: string[] = [];
  let now = 0;
  const notes = new StderrNotes(
    (line) => told.push(line),
    () => now,
  );
  return {
    told,
    say: (text: string) => notes.heard(new TextEncoder().encode(text)),
    later: (ms: number) => {
      now += ms;
    },
    end: () => notes.ended(),
  };
}

it('a flood is counted and not told, and the count is', () => {
  const { told, say, later, end } = listening();
  for (let i = 0; i < 1_000; i++) say(`line ${i}\n`.repeat(100));
  expect(told).toHaveLength(40);
  later(2_000);
  say('calm\n');
  expect(told.slice(40)).toEqual(['(99960 more lines)', 'calm']);
  say('x\n'.repeat(100));
  end();
  expect(told.at(-1)).toBe('(61 more lines)');
});

it('a line that never ends is held to a bound, and told cut', () => {
  const { told, say } = listening();
  for (let i = 0; i < 100; i++) say('y'.repeat(100_000));
  expect(told).toEqual([]);
  say('\n');
  expect(told[0]!.length).toBeLessThan(450);
});

it('a line in pieces is one line, blank ones are none, and what would move the cursor is shown', () => {
  const { told, say, end } = listening();
  say('one \u001b[3');
  say('1mred\r\n\n  \n');
  say('the last');
  expect(told).toEqual(['one \\u{1b}[31mred']);
  end();
  expect(told[1]).toBe('the last');
});

it('what starts a server says of itself is nothing that the server said', () => {
  const { told, say } = listening();
  say('unshare: sigprocmask unblock failed: Invalid argument\nunshare: it says so itself\n');
  expect(told).toEqual(['unshare: it says so itself']);
});
