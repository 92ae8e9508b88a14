import { describe, expect, it } from 'vitest';
import { actionId, GOVERNED_METHODS, isGovernedMethod, PLAIN_METHODS, serverOfAction } from '../../../domain/action.ts';

describe('actionId', () => {
  it('gives a method and a tool of the same name two ids', () => {
    expect(actionId('tools/call', 'fs', 'resources/read')).toBe('fs/resources/read');
    expect(actionId('resources/read', 'fs', 'resources/read')).toBe('fs:resources/read');
  });

  it('gives a tool whose name looks like an id of a method an id of its own', () => {
    expect(actionId('tools/call', 'fs', ':resources/read')).toBe('fs/:resources/read');
  });
});

describe('serverOfAction', () => {
  it.each(['', 'fs', '/tool', ':method', 'fs/', 'fs:'])('finds no server in "%s"', (text) => {
    expect(serverOfAction(text)).toBeUndefined();
  });

  it.each([
    ['fs/read_file', 'fs'],
    ['fs/a:b', 'fs'],
    ['fs:resources/read', 'fs'],
  ])('finds the server of "%s"', (text, server) => {
    expect(serverOfAction(text)).toBe(server);
  });
});

describe('the governed methods', () => {
  it.each(['toString', '__proto__', 'Tools/call', 'tools/call ', 'ping', 'tools/list'])(
    'do not include "%s"',
    (method) => {
      expect(isGovernedMethod(method)).toBe(false);
    },
  );

  it('are those that carry data to a server or a question to a client', () => {
    const [first, ...rest] = Object.keys(GOVERNED_METHODS);
    expect(first).toBe('tools/call');
    expect(PLAIN_METHODS).toEqual(rest);
    expect(rest.filter((method) => !isGovernedMethod(method))).toEqual([]);
  });
});
