import { describe, expect, it } from 'vitest';
import { OwnSecrets } from '../../../../adapters/upstream/http/own-secrets.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const TOKEN = 'tok/en"with\\odd-characters';

function secrets(): OwnSecrets {
  const made = new OwnSecrets();
  made.keepHeader('Authorization', `Bearer ${TOKEN}`);
  made.keepHeader('X-Api-Key', 'a-key-of-sixteen');
  made.keepHeader('X-Region', 'eu-west-1');
  made.keepToken('DPoP token-of-a-login', 'eyJoZWFkIjoiIn0.eyJib2R5IjoiIn0.c2ln');
  return made;
}

describe('our own secrets', () => {
  it.each([
    ['escaped as JSON does', JSON.stringify({ seen: TOKEN })],
    ['escaped as JSON does, with slashes', JSON.stringify({ seen: TOKEN }).replaceAll('/', '\\/')],
    ['escaped needlessly', JSON.stringify({ seen: 'a-key-of-sixteen' }).replace('a-key', '\\u0061-k\\u0065y')],
    ['in a name', JSON.stringify({ 'a-key-of-sixteen': 1 })],
    ['in the middle of a word', '"xxa-key-of-sixteenxx"'],
    ['from a token', '"token-of-a-login"'],
    ['in another proof of the same key', '"eyJoZWFkIjoiIn0.eyJvdGhlciI6IiJ9.c2ln"'],
  ])('are found %s', (_how, message) => {
    expect(secrets().isIn(bytes(message))).toBe(true);
  });

  it.each([
    ['short values of headers', '{"region":"eu-west-1"}'],
    ['the word that names a scheme', '{"scheme":"Bearer"}'],
    ['a part of one', '"a-key-of"'],
    ['nothing', ''],
  ])('are not seen in %s', (_what, message) => {
    expect(secrets().isIn(bytes(message))).toBe(false);
  });

  it('are left out of a sentence', () => {
    expect(secrets().leftOut('it said "a-key-of-sixteen" twice: a-key-of-sixteen')).toBe(
      'it said "[our credential]" twice: [our credential]',
    );
  });

  it('that were exchanged are known for a while, and not for ever', () => {
    const made = secrets();
    for (let i = 0; i < 8; i++) made.keepToken(`Bearer later-token-${i}`, undefined);
    expect(made.isIn(bytes('later-token-0'))).toBe(true);
    expect(made.isIn(bytes('token-of-a-login'))).toBe(false);
    expect(made.isIn(bytes('a-key-of-sixteen'))).toBe(true);
  });
});
