import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  listenForRedirect,
  type RedirectListener,
} from '../../../../../adapters/upstream/http/oauth/redirect-listener.ts';

const STATE = 'the-state';
let listener: RedirectListener;

beforeEach(async () => {
  listener = await listenForRedirect();
});

afterEach(() => listener.close());

function visit(target: string, how: { method?: string; host?: string } = {}): Promise<number> {
  const { port, host } = new URL(listener.redirectUri);
  return new Promise((resolve, reject) => {
    const headers = { host: how.host ?? host };
    const open = request({ host: '127.0.0.1', port, path: target, method: how.method ?? 'GET', headers });
    open.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    open.on('error', reject).end();
  });
}

describe('a redirect', () => {
  it.each([
    ['with another state', '/callback?code=x&state=other', {}],
    ['without a state', '/callback?code=x', {}],
    ['with two states', `/callback?code=x&state=${STATE}&state=${STATE}`, {}],
    ['with two codes', `/callback?code=x&code=y&state=${STATE}`, {}],
    ['with two issuers', `/callback?code=x&iss=a&iss=b&state=${STATE}`, {}],
    ['to another path', `/callback/?code=x&state=${STATE}`, {}],
    ['to a path that is only nearly the same', `/x/../callback?code=x&state=${STATE}`, {}],
    ['by another method', `/callback?code=x&state=${STATE}`, { method: 'POST' }],
    ['by another name of this machine', `/callback?code=x&state=${STATE}`, { host: 'rebound.example' }],
  ])('%s is turned away and waited out', async (_what, target, how) => {
    const answer = listener.answer(STATE, 10_000);
    expect(await visit(target, how)).toBe(400);
    expect(await visit(`/callback?code=right&state=${STATE}`)).toBe(200);
    expect((await answer).get('code')).toBe('right');
  });

  it('is taken once', async () => {
    const answer = listener.answer(STATE, 10_000);
    expect(await visit(`/callback?code=first&state=${STATE}`)).toBe(200);
    expect(await visit(`/callback?code=second&state=${STATE}`)).toBe(400);
    expect((await answer).get('code')).toBe('first');
  });

  it('is not taken before it is waited for, nor after the time is up', async () => {
    expect(await visit(`/callback?code=x&state=${STATE}`)).toBe(400);
    await expect(listener.answer(STATE, 1)).rejects.toThrow('nobody consented');
    expect(await visit(`/callback?code=x&state=${STATE}`)).toBe(400);
  });

  it('is not waited for after a signal', async () => {
    const stop = new AbortController();
    const answer = listener.answer(STATE, 10_000, stop.signal);
    stop.abort();
    await expect(answer).rejects.toThrow('it was stopped');
  });
});
