// Codes, numbers and categories of denials, and exit codes: scripts, rules of monitors and ledgers of years ago name them.

import { expect, it } from 'vitest';
import { EXIT } from '../../cli/exit-codes.ts';
import { DENIALS, type DenialCode, rpcCode } from '../../domain/denial.ts';
import { pinned } from './pinned.ts';

it('every denial keeps its code, number, stage and category; new ones are added, none is renamed or reused', () => {
  const rows = Object.entries(DENIALS).map(([code, { number, stage, category, retry }]) =>
    [number, code, rpcCode(code as DenialCode), stage, category, retry ? 'retry' : '-'].join(' '),
  );
  expect(rows.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))).toEqual(pinned('denials.txt'));
  const numbers = Object.values(DENIALS).map(({ number }) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
});

it('no code for JSON-RPC lies where the protocol has its own', () => {
  const codes = Object.keys(DENIALS).map((code) => rpcCode(code as DenialCode));
  expect(codes.filter((code) => code >= -32768 && code <= -32000)).toEqual([]);
});

it('exit codes stay what they are', () => {
  expect(EXIT).toEqual({ ok: 0, error: 1, usage: 2, denied: 3, verificationFailed: 5, gaps: 6, gateShut: 7 });
});
