import { describe, expect, it } from 'vitest';
import { actionId, GOVERNED_METHODS, isGovernedMethod, PLAIN_METHODS, parseActionId } from '../../../domain/action.ts';

describe('actionId', () => {
  it('gives a method and a tool of the same name two ids', () => {
    expect(actionId('tools/call', 'fs', 'resources/read')).toBe('fs/resources/read');
    expect(actionId('resources/read', 'fs', 'resources/read')).toBe('fs:resources/read');
  });

  it('gives a tool whose name looks like an id of a method an id of its own', () => {
    expect(actionId('tools/call', 'fs', ':resources/read')).toBe('fs/:resources/read');
  });
});

describe('parseActionId', () => {
  it.each(['', 'fs', '/tool', ':method', 'fs/', 'fs:', 'fs:tools/call'])('reads nothing in "%s"', (text) => {
    expect(parseActionId(text)).toBeUndefined();
  });

  it.each([
    ['fs/read_file', 'tools/call', 'read_file'],
    ['fs/a:b', 'tools/call', 'a:b'],
    ['fs/:resources/read', 'tools/call', ':resources/read'],
    ['fs:resources/read', 'resources/read', 'resources/read'],
  ])('takes "%s" apart as it was put together', (id, method, tool) => {
    expect(parseActionId(id)).toEqual({ method, server: 'fs', tool });
    expect(actionId(method, 'fs', tool)).toBe(id);
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
