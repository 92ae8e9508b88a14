import { describe, expect, it } from 'vitest';
import { parseAllowEntry, type UrlSpec, urlFact } from '../../../../control-plane/policy/url-fact.ts';

const SPEC: UrlSpec = {
  kind: 'url',
  from: ['/url'],
  allow: {
    docs: ['https://docs.example.com/api/', 'https://*.example.org'],
    dev: ['http://localhost:8080'],
  },
};

describe('an address fact', () => {
  it.each<[string, string]>([
    ['no scheme', 'example.com/x'],
    ['a relative address', '/x'],
    ['a scheme without a host', 'data:text/plain,x'],
    ['a file', 'file:///etc/passwd'],
    ['a script', 'javascript://example.com/%0aalert(1)'],
    ['user information', 'https://user:pass@docs.example.com/'],
    ['a host that looks like user information', 'https://docs.example.com@evil.com/'],
    ['a backslash', 'https://docs.example.com\\@evil.com/'],
    ['a tab in the host', 'https://docs.exa\tmple.com/'],
    ['a space', ' https://docs.example.com/'],
    ['a percent-encoded host', 'https://docs%2eexample.com/'],
    ['an empty host', 'https:///x'],
    ['a single slash', 'https:/docs.example.com/'],
    ['a port that is none', 'https://docs.example.com:99999/'],
  ])('refuses %s', (_, url) => {
    expect(urlFact(SPEC, [url]).ok).toBe(false);
  });

  it.each<[string, string, object]>([
    ['a plain one', 'https://docs.example.com/api/x', { hosts: ['docs.example.com'], ports: [443], within: ['docs'] }],
    ['capital letters', 'HTTPS://DOCS.Example.COM/api/x', { hosts: ['docs.example.com'], within: ['docs'] }],
    ['a trailing dot', 'https://docs.example.com./api/x', { hosts: ['docs.example.com'], within: ['docs'] }],
    ['an international name', 'https://b\u00fccher.example/', { hosts: ['xn--bcher-kva.example'], within: [] }],
    ['a look-alike', 'https://docs.ex\u0430mple.com/api/', { hosts: ['docs.xn--exmple-4nf.com'], within: [] }],
    ['a prefix of another host', 'https://docs.example.com.evil.com/api/', { within: [] }],
    ['another port', 'https://docs.example.com:8443/api/', { ports: [8443], within: [] }],
    ['another scheme', 'http://docs.example.com/api/', { schemes: ['http'], within: [] }],
    ['another path', 'https://docs.example.com/apix', { within: [] }],
    ['dots that lead out of the path', 'https://docs.example.com/api/../admin', { paths: ['/admin'], within: [] }],
    ['encoded dots that lead out', 'https://docs.example.com/api/%2e%2e/admin', { paths: ['/admin'], within: [] }],
    ['an encoded separator below the path', 'https://docs.example.com/api/..%2fadmin', { within: [] }],
    ['a subdomain', 'https://a.b.example.org/x', { within: ['docs'] }],
    ['the domain itself', 'https://example.org/', { within: [] }],
    ['a name that only ends alike', 'https://evilexample.org/', { within: [] }],
    ['this machine', 'http://localhost:8080/x', { networks: ['loopback'], within: ['dev'] }],
    ['an IPv4 address in disguise', 'http://0x7f.1/', { hosts: ['127.0.0.1'], networks: ['loopback'] }],
    ['an IPv4 address as a number', 'http://2852039166/', { hosts: ['169.254.169.254'], networks: ['private'] }],
    ['an IPv6 address', 'http://[::1]/', { networks: ['loopback'] }],
    ['a mapped address', 'http://[::ffff:10.0.0.1]/', { networks: ['private'] }],
    ['a public address', 'http://93.184.216.34/', { networks: ['public'] }],
  ])('knows %s', (_, url, parts) => {
    const fact = urlFact(SPEC, [url]);
    expect(fact.ok && fact.parts).toMatchObject(parts);
  });

  it('is within an allow-list only with all addresses', () => {
    const fact = urlFact(SPEC, ['https://docs.example.com/api/x', 'https://evil.com/']);
    expect(fact.ok && fact.parts).toMatchObject({ hosts: ['docs.example.com', 'evil.com'], within: [] });
  });

  it.each([
    'example.com',
    'https://',
    'https://*',
    'https://a.*.com',
    'https://h/?q',
    'https://u@h',
    'https://*.10.0.0.1',
  ])('has no allow-list entry %s', (entry) => {
    expect(parseAllowEntry(entry)).toBeUndefined();
  });
});
