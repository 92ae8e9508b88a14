import { describe, expect, it } from 'vitest';
import {
  egressAllows,
  namesAddress,
  parseEgressEntry,
  parseEgressTarget,
} from '../../../../control-plane/policy/egress.ts';

describe('a host that can be read in two ways', () => {
  it.each([
    '2130706433:443',
    '0x7f000001:443',
    '0x7f.1:443',
    '127.1:443',
    '127.0.0.01:443',
    '0177.0.0.1:443',
    '127.0.0.1.:443',
    '256.0.0.1:443',
    '1.2.3.4.5:443',
    'example.com.:443',
    'example..com:443',
    '.example.com:443',
    '-a.example:443',
    'exa mple.com:443',
    'example.com%00.evil.example:443',
    'user@example.com:443',
    'example.com:443:80',
    '::1:443',
    '[fe80::1%25eth0]:443',
    '[::1]443',
    'exämple.com:443',
    'ｅxample.com:443',
    '⑯⑨.254.169.254:443',
    'example.com/:443',
    'example.com:0',
    'example.com:65536',
    'example.com:',
    ':443',
    '',
  ])('%s is none', (text) => {
    expect(parseEgressTarget(text)).toBeUndefined();
    expect(parseEgressEntry(text)).toBeUndefined();
  });
});

it.each([
  '*.com',
  '*',
  '*.',
  '**.example.com',
  'a.*.example.com',
  '*.1.2.3.4',
  'https://example.com',
  'example.com/path',
  'example.com:*',
])('the entry %s is refused', (text) => {
  expect(parseEgressEntry(text)).toBeUndefined();
});

it.each<[string, string, boolean]>([
  ['example.com', 'example.com:443', true],
  ['example.com', 'EXAMPLE.com:443', true],
  ['Example.com', 'example.com:443', true],
  ['example.com', 'example.com:80', false],
  ['example.com', 'example.com:22', false],
  ['example.com:8443', 'example.com:443', false],
  ['example.com:8443', 'example.com:8443', true],
  ['example.com', 'www.example.com:443', false],
  ['example.com', 'example.com.evil.example:443', false],
  ['*.example.com', 'www.example.com:443', true],
  ['*.example.com', 'a.b.example.com:443', true],
  ['*.example.com', 'example.com:443', false],
  ['*.example.com', 'badexample.com:443', false],
  ['*.example.com', '1.2.3.4:443', false],
  ['127.0.0.1:8080', '127.0.0.1:8080', true],
  ['127.0.0.1:8080', '127.0.0.1:8081', false],
  ['127.0.0.1:8080', 'localhost:8080', false],
  ['[::1]:8080', '[0:0:0:0:0:0:0:1]:8080', true],
  ['[::ffff:127.0.0.1]:8080', '127.0.0.1:8080', false],
])('the list [%s] answers %s with %s', (entry, asked, allowed) => {
  const target = parseEgressTarget(asked);
  const parsed = parseEgressEntry(entry);
  if (target === undefined || parsed === undefined) throw new Error('these can be read');
  expect(egressAllows([parsed], target, target.port)).toBe(allowed);
});

it('an address is named by itself and with its port, and not by a name', () => {
  const entries = ['10.0.0.7:8080', '[fd00::7]:8080', 'intern.example:8080'].map((text) => parseEgressEntry(text));
  const known = entries.filter((entry) => entry !== undefined);
  expect(namesAddress(known, '10.0.0.7', 8080)).toBe(true);
  expect(namesAddress(known, 'fd00:0::7', 8080)).toBe(true);
  expect(namesAddress(known, '10.0.0.7', 443)).toBe(false);
  expect(namesAddress(known, '10.0.0.8', 8080)).toBe(false);
});
