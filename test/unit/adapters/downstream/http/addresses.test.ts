import { describe, expect, it } from 'vitest';
import { hostsOf, isLoopback, originsOf, urlOf } from '../../../../../adapters/downstream/http/addresses.ts';

describe('addresses', () => {
  it.each([
    '0.0.0.0',
    '::',
    '::ffff:127.0.0.1',
    '127.0.0.1.example',
    '127.1',
    '128.0.0.1',
    'localhost.example',
    '',
    '10.0.0.1',
  ])('%j is not loopback', (address) => {
    expect(isLoopback(address)).toBe(false);
  });

  it.each(['127.0.0.1', '127.255.0.3', '::1', 'localhost', 'LOCALHOST'])('%s is loopback', (address) => {
    expect(isLoopback(address)).toBe(true);
  });

  it('an address of a network answers to itself and to no loopback name', () => {
    expect([...hostsOf('192.0.2.1', 8080, [])]).toEqual(['192.0.2.1:8080']);
    expect([...hostsOf('2001:db8::1', 8080, [])]).toEqual(['[2001:db8::1]:8080']);
    expect([...originsOf('192.0.2.1', 8080, [])]).toEqual([]);
  });

  it('all addresses together answer to loopback names and what is configured', () => {
    expect([...hostsOf('0.0.0.0', 8080, ['Gate.Example'])]).toEqual([
      'gate.example',
      'localhost:8080',
      '127.0.0.1:8080',
      '[::1]:8080',
    ]);
    expect([...originsOf('0.0.0.0', 8080, ['https://App.example'])]).toEqual(['https://app.example']);
  });

  it('the port of the scheme may be left out', () => {
    expect(hostsOf('127.0.0.1', 80, []).has('localhost')).toBe(true);
    expect(originsOf('127.0.0.1', 80, [])).toEqual(new Set(['http://localhost', 'http://127.0.0.1', 'http://[::1]']));
  });

  it('a URL names an address that can be connected to', () => {
    expect(urlOf('0.0.0.0', 1, '/mcp')).toBe('http://127.0.0.1:1/mcp');
    expect(urlOf('::', 1, '/mcp')).toBe('http://[::1]:1/mcp');
    expect(urlOf('::1', 1, '/mcp')).toBe('http://[::1]:1/mcp');
  });
});
