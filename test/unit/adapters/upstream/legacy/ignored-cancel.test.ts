// What becomes of a server that goes on with a call that was cancelled.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { proves } from '../../../../guarantees.ts';
import { PuppetServer } from '../../../../support/puppet-server.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const GRACE_MS = 500;
const LOST = { kind: 'lost' };

async function puppet(): Promise<PuppetServer> {
  return new PuppetServer({ tools: {} }, { cancelGraceMs: GRACE_MS }, 'end').start();
}

describe('a call that was cancelled and that the server goes on with', () => {
  proves('G12', 'ends the server after the grace, and is over when the server is', async () => {
    const server = await puppet();
    const { run } = server.called();
    const over = vi.fn();
    void run.answer.then(over);
    run.cancel('revoked');
    await vi.advanceTimersByTimeAsync(GRACE_MS - 1);
    expect(server.destroyed).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(server.destroyed).toContain('went on with a call that was cancelled');
    expect(server.ignored).toEqual([true]);
    expect(over).not.toHaveBeenCalled();
    server.handlers?.onClose('it was ended by SIGKILL');
    expect(await run.answer).toMatchObject(LOST);
  });

  it('is lost while another call is with the server, and ends the server once that is answered', async () => {
    const server = await puppet();
    const cancelled = server.called();
    const other = server.called();
    cancelled.run.cancel('revoked');
    await vi.advanceTimersByTimeAsync(GRACE_MS);
    expect(await cancelled.run.answer).toMatchObject(LOST);
    expect(server.ignored).toEqual([false]);
    expect(server.destroyed).toBeUndefined();
    server.write({ id: other.id, result: { content: [] } });
    expect(await other.run.answer).toMatchObject({ kind: 'result' });
    expect(server.destroyed).toContain('cancelled');
  });

  it('is forgotten once it was answered late', async () => {
    const server = await puppet();
    const cancelled = server.called();
    const other = server.called();
    cancelled.run.cancel('revoked');
    await vi.advanceTimersByTimeAsync(GRACE_MS);
    server.write({ id: cancelled.id, result: { content: [] } });
    server.write({ id: other.id, result: { content: [] } });
    expect(await other.run.answer).toMatchObject({ kind: 'result' });
    expect(server.destroyed).toBeUndefined();
    expect(server.session.dropped.answers).toBe(1);
  });

  it('is lost, and ends nobody, where only its client does not want it any more', async () => {
    const server = await puppet();
    const { run } = server.called();
    run.cancel('CANCELLED', true);
    await vi.advanceTimersByTimeAsync(GRACE_MS);
    expect(await run.answer).toMatchObject(LOST);
    const other = server.called();
    server.write({ id: other.id, result: { content: [] } });
    expect(await other.run.answer).toMatchObject({ kind: 'result' });
    expect(server.destroyed).toBeUndefined();
    expect(server.ignored).toEqual([]);
  });

  it('that answers within the grace hurts nobody', async () => {
    const server = await puppet();
    const { run, id } = server.called();
    run.cancel('no longer needed');
    server.write({ id, error: { code: -32800, message: 'cancelled' } });
    expect(await run.answer).toMatchObject({ kind: 'error' });
    await vi.advanceTimersByTimeAsync(GRACE_MS);
    expect(server.destroyed).toBeUndefined();
  });
});
