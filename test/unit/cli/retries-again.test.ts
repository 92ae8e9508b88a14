import { describe, expect, it } from 'vitest';
import { RetriesAgain } from '../../../cli/retries-again.ts';
import type { Digest } from '../../../domain/digest.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Payload } from '../../../ledger/vault.ts';
import { proves } from '../../guarantees.ts';
import { type RecordedCallOptions, WrittenLedger } from '../../support/recorded-calls.ts';

const T = 1_700_000_000_000;
const LOST = { status: 'unknown', dispatched: true, code: 'TOOL_LOST' };
const DONE = { status: 'completed', dispatched: true };

/** A ledger with its vault: commitments are as in a real one, different for each call. */
class Kept extends WrittenLedger {
  readonly payloads = new Map<Digest, Payload>();
  at = T;

  keep(text: string): { readonly commitment: string; readonly bytes: number } {
    const commitment: Digest = `sha256:${this.payloads.size}`;
    const bytes = Buffer.from(text);
    this.payloads.set(commitment, { commitment, salt: new Uint8Array(32), bytes });
    return { commitment, bytes: bytes.length };
  }

  /** What a start says: the manifest, and what was approved of the server. */
  start(retry?: 'deny' | 'allow', repeatable: readonly string[] | undefined = []): this {
    const server = { stdio: { command: 'fs' }, ...(retry === undefined ? {} : { retryAfterUnknown: retry }) };
    const manifest = { apiVersion: 'portcullis/v1', servers: { fs: server }, agents: {} };
    const source = { manifest: { file: 'portcullis.yaml', text: JSON.stringify(manifest) }, policies: [], tools: [] };
    this.write(this.at, { type: 'policy.installed', source: this.keep(JSON.stringify(source)) });
    const pinned = repeatable === undefined ? {} : { repeatable: [...repeatable] };
    this.write(this.at, { type: 'tools.pinned', server: 'fs', source: this.keep(JSON.stringify(pinned)) });
    return this;
  }

  /** Asked for a second after what was before. */
  made(outcome: JsonObject, text = '{"a":1}', options: RecordedCallOptions = {}): this {
    this.at += 1_000;
    this.ended(this.at, outcome, { committed: this.keep(text), ...options });
    return this;
  }

  settle(of: string): this {
    this.write(this.at, { type: 'call.settled', of, as: 'ran' });
    return this;
  }

  again(): RetriesAgain {
    return new RetriesAgain(this.entries, this.payloads);
  }
}

const FOUND = [{ seq: 4, call: 'call-2', detail: 'call-1 may have run before, and nobody had looked' }];

describe('a call that is made again when the first one may have run', () => {
  proves('G3', 'is found by its arguments, where nobody had looked', () => {
    const ledger = new Kept().start().made(LOST).made(DONE);
    expect(ledger.again()).toMatchObject({ findings: FOUND, notReplayable: 0 });
  });

  it.each<[string, JsonObject]>([
    ['ran out of time', { status: 'timed_out', dispatched: true, code: 'DEADLINE_EXCEEDED' }],
    ['was stopped', { status: 'aborted', dispatched: true, code: 'AUTHORITY_WITHDRAWN' }],
  ])('is found where the first one %s', (_, outcome) => {
    expect(new Kept().start('deny').made(outcome).made(LOST).again().findings).toEqual(FOUND);
  });

  it('is found where a person had looked at another one, and only the first time where he had looked before the second', () => {
    expect(new Kept().start().made(LOST).settle('call-9').made(DONE).again().findings).toHaveLength(1);
    const twice = new Kept().start().made(LOST).settle('call-1').made(LOST).made(DONE);
    expect(twice.again().findings.map(({ call }) => call)).toEqual(['call-3']);
  });

  it('is found though another tool may be called again, or this one since then', () => {
    expect(new Kept().start('deny', ['list']).made(LOST).made(DONE).again().findings).toHaveLength(1);
    expect(new Kept().start().made(LOST).made(DONE).start('allow', ['read']).again().findings).toHaveLength(1);
  });

  it.each<[string, (ledger: Kept) => Kept]>([
    ['a person had looked', (ledger) => ledger.start().made(LOST).settle('call-1').made(DONE)],
    ['the manifest lets it be', (ledger) => ledger.start('allow').made(LOST).made(DONE)],
    ['its definition says that it may be', (ledger) => ledger.start('deny', ['read']).made(LOST).made(DONE)],
    ['it might be meanwhile', (ledger) => ledger.start().made(LOST).start('allow').start().made(DONE)],
    ['the first one is known to have run', (ledger) => ledger.start().made(DONE).made(DONE)],
    [
      'the second one never left',
      (ledger) =>
        ledger
          .start()
          .made(LOST)
          .made({ ...LOST, dispatched: false }),
    ],
    ['the arguments are others', (ledger) => ledger.start().made(LOST).made(DONE, '{"a":2}')],
    ['the tool is another', (ledger) => ledger.start().made(LOST).made(DONE, '{"a":1}', { tool: 'list' })],
    ['the agent is another', (ledger) => ledger.start().made(LOST).made(DONE, '{"a":1}', { agent: 'other' })],
    ['it is no call of a tool', (ledger) => ledger.start().made(LOST, '{}', { method: 'prompts/get' }).made(DONE)],
  ])('is as it should be where %s', (_, make) => {
    expect(make(new Kept()).again()).toMatchObject({ findings: [], notReplayable: 0 });
  });

  it('was not made again where it was asked for while the first one was under way', () => {
    const ledger = new Kept().start();
    const committed = ledger.keep('{}');
    const [one, two] = [ledger.intent(T, { committed }), ledger.keep('{}')];
    ledger.ending(T + 5_000, String(one.call), LOST);
    const late = ledger.intent(T + 4_000, { committed: two });
    ledger.ending(T + 6_000, String(late.call), DONE);
    expect(ledger.again().findings).toEqual([]);
  });

  it('cannot be judged without the arguments, the manifest, or what was approved', () => {
    const forgotten = new Kept().start().made(LOST).made(DONE);
    forgotten.payloads.delete('sha256:2');
    expect(forgotten.again()).toMatchObject({ findings: [], notReplayable: 1 });
    expect(new Kept().made(LOST).made(DONE).again()).toMatchObject({ findings: [], notReplayable: 1 });
    const older = new Kept();
    older.start('deny');
    older.entries.pop();
    older.write(T, { type: 'tools.pinned', server: 'fs', source: older.keep('{}') });
    expect(older.made(LOST).made(DONE).again()).toMatchObject({ findings: [], notReplayable: 1 });
  });
});
