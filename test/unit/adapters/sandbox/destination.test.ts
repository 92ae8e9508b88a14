import { expect, it } from 'vitest';
import { destination } from '../../../../adapters/sandbox/destination.ts';
import { parseEgressEntry, parseEgressTarget } from '../../../../control-plane/policy/egress.ts';
import { proves } from '../../../guarantees.ts';

const PUBLIC = '93.184.216.34';

async function asked(list: readonly string[], where: string, answers: readonly string[] | Error) {
  const target = parseEgressTarget(where);
  if (target === undefined) throw new Error(`${where} can be read`);
  const names: string[] = [];
  const found = await destination(
    list.map((text) => parseEgressEntry(text)).filter((entry) => entry !== undefined),
    target,
    async (name) => {
      names.push(name);
      if (answers instanceof Error) throw answers;
      return answers;
    },
    1_000,
  );
  return { found, names };
}

it('a host that is not in the list is refused before anybody is asked for it', async () => {
  const { found, names } = await asked(['good.example'], 'evil.example:443', [PUBLIC]);
  expect(found).toEqual({ ok: false, reason: 'not_allowed' });
  expect(names).toEqual([]);
});

proves('G4', 'a name that leads to this machine, a private network or a metadata service is refused', async () => {
  for (const address of [
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fd00:ec2::254',
    'fe80::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001::1',
    'not an address',
  ]) {
    const { found } = await asked(['good.example'], 'good.example:443', [address]);
    expect([address, found]).toEqual([address, { ok: false, reason: 'private_address' }]);
    // One bad address among good ones: the next look-up could put it first.
    const mixed = await asked(['good.example'], 'good.example:443', [PUBLIC, address]);
    expect(mixed.found.ok).toBe(false);
  }
});

it('a name without an address, or that nobody answers for, is refused', async () => {
  expect((await asked(['good.example'], 'good.example:443', [])).found).toEqual({ ok: false, reason: 'unresolved' });
  const failed = await asked(['good.example'], 'good.example:443', new Error('ENOTFOUND'));
  expect(failed.found).toEqual({ ok: false, reason: 'unresolved' });
});

it('a literal address is refused unless the list has it, and a private one is taken at its word', async () => {
  expect((await asked(['good.example'], `${PUBLIC}:443`, [])).found.ok).toBe(false);
  expect((await asked([PUBLIC], `${PUBLIC}:443`, [])).found).toEqual({ ok: true, addresses: [PUBLIC] });
  expect((await asked(['10.0.0.7:8080'], '10.0.0.7:8080', [])).found).toEqual({ ok: true, addresses: ['10.0.0.7'] });
  expect((await asked(['[::1]:8080'], '[::1]:8080', [])).found).toEqual({ ok: true, addresses: ['::1'] });
});

it('a name may lead to a private address that the list names with this port', async () => {
  const list = ['intern.example:8080', '10.0.0.7:8080'];
  expect((await asked(list, 'intern.example:8080', ['10.0.0.7'])).found.ok).toBe(true);
  expect((await asked(list, 'intern.example:8080', ['10.0.0.8'])).found.ok).toBe(false);
  expect((await asked(['intern.example:8080', '10.0.0.7'], 'intern.example:8080', ['10.0.0.7'])).found.ok).toBe(false);
});

it('what is answered are the addresses that were checked', async () => {
  const { found } = await asked(['*.example.com'], 'a.example.com:443', [PUBLIC, '2606:2800:220:1::1']);
  expect(found).toEqual({ ok: true, addresses: [PUBLIC, '2606:2800:220:1::1'] });
});
