// What a user sees from the first start to a proof, as sessions.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, installation } from '../support/cli.ts';
import { counterGate } from '../support/counter-gate.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { denialOf, RawStdio, textOf } from '../support/raw-mcp.ts';
import { play } from './session.ts';

afterAll(closeInstallations);

describe('from nothing to the first allowed call', () => {
  it('goes like this', async () => {
    const at = installation();
    const heard = at.path('heard.jsonl');
    const line = [process.execPath, fixtureServer('counter.mjs'), heard];
    const names = { server: line.join(' ') };
    const call = async (name: string, args: object) => {
      const client = new RawStdio(at.start(['wrap', '--name', 'counter', '--', ...line]));
      await client.initialize();
      const tools = (await client.ask('tools/list'))?.result?.tools as readonly { name: string }[];
      const reply = await client.call(name, { ...args });
      client.running.child.stdin.end();
      expect((await client.running.ended).code).toBe(0);
      return { reply, tools: tools.map((tool) => tool.name), notes: client.running.stderr };
    };

    const first = await call('count', { by: 1 });
    expect(denialOf(first.reply)).toBe('GOV_POLICY_MISSING');
    for (const said of [textOf(first.reply), first.notes]) {
      expect(said).toContain('portcullis policy init --name counter --cwd ');
      expect(said).toContain(` -- ${line.join(' ')};`);
      expect(said).toContain(`${at.home}/portcullis.yaml`);
      expect(said).toContain('portcullis policy explain');
    }
    expect(heardIn(heard)).toEqual([]);

    at.write('call.json', JSON.stringify({ agent: 'me', server: 'counter', tool: 'count', arguments: { by: 2 } }));
    at.write('other.json', JSON.stringify({ agent: 'me', server: 'counter', tool: 'echo', arguments: { text: 'hi' } }));
    at.write(
      'table.yaml',
      `- { name: counting, agent: me, server: counter, tool: count, arguments: { by: 1 }, expect: allow }
- { name: no echo, agent: me, server: counter, tool: echo, arguments: { text: hi }, expect: POLICY_NO_PERMIT }
- { name: a wish, agent: me, server: counter, tool: big, arguments: { bytes: 1 }, expect: allow }
`,
    );
    await play(
      at,
      `
    $ portcullis policy explain
    portcullis: no policy is installed, so every call is denied
    portcullis: hint: to put the servers of your clients behind the gate: portcullis init
    portcullis: hint: to write a starter for one server: portcullis policy init -- COMMAND ARGS...
    portcullis: hint: it goes to ~/home/portcullis.yaml and ~/home/policy/; edit the rules there
    (exit 3)

    $ portcullis policy init --name counter --allow count,fly -- {server}
    portcullis: starting counter to read its tools
    portcullis: counter has no tool "fly"
    portcullis: hint: its tools: count, echo, sleep, fail, progress, big, die, ask, heard
    (exit 2)

    $ portcullis policy init --name counter --allow count -- {server}
    wrote ~/home/portcullis.yaml
    wrote ~/home/policy/counter.cedar: 9 tools listed, 1 allowed
    …
      portcullis policy check
      portcullis wrap --name counter -- {server}
    portcullis: starting counter to read its tools

    $ portcullis policy init --name counter -- {server}
    portcullis: ~/home/…
    …
    (exit 1)

    $ portcullis policy check
    valid  ~/home/portcullis.yaml: 1 rules about 9 tools
      permit  counter-count  chosen when this policy was written
    portcullis: starting counter to read its tools

    $ portcullis policy explain call.json
    me calls counter/count {"by":2}
    allowed by counter-count
    …

    $ portcullis policy explain other.json
    me calls counter/echo {"text":"hi"}
    denied: POLICY_NO_PERMIT…
    …
    (exit 3)

    $ portcullis policy test table.yaml
    pass  counting
    pass  no echo
    FAIL  a wish: expected allow, got POLICY_NO_PERMIT
    2 passed, 1 failed
    portcullis: starting counter to read its tools
    (exit 1)
    `,
      names,
    );

    const second = await call('count', { by: 2 });
    expect(textOf(second.reply)).toBe('1');
    expect(second.tools).toEqual(['count']);
    expect(heardIn(heard)).toEqual([{ by: 2 }]);
    await play(
      at,
      `
    $ portcullis log
    …  local  counter/count  denied GOV_POLICY_MISSING: no policy is installed, so every call is denied…
    …  me  counter/count  permitted by counter-count
    …  me  counter/count  completed after … ms

    $ portcullis doctor
    portcullis 0.1.0
    ok       node            …
    ok       configuration   ~/home/portcullis.yaml: servers counter; 1 rule file(s)
    …
    ok       keys            installation … in ~/home/state/keys
    ok       ledger counter  verified  ~/home/state/gates/counter/ledger
    …

    $ portcullis keys
    installation  …  (keys in ~/home/state/keys)
    permits       …
    as a peer     { issuer: "urn:portcullis:…", key: "…" }
    active        permit  …
    active        log     …
    active        gate    …
    log counter   portcullis.local/…/counter+…
    `,
    );
  }, 90_000);
});

describe('a ledger and its proofs', () => {
  proves(
    'G10',
    'are verified from their bytes: intact, edited, cut, proven, and a proof that was altered',
    async () => {
      const counter = counterGate({
        rules: `@id("count") @reason("counting is harmless")
permit (principal, action == Portcullis::Action::"counter/count", resource);`,
      });
      const client = await counter.wrapped();
      for (let by = 1; by <= 3; by++) await client.call('count', { by });
      await client.call('echo', { text: 'hi' });
      await client.ask('no/such/method');
      client.running.child.stdin.end();
      await client.running.ended;
      const ledger = counter.at.ledger('counter');
      const calls = await callsOf(counter.at, 'counter');
      const counted = calls.filter(({ tool }) => tool === 'count');
      const id = counted[1]?.call ?? '';
      const vkey = readFileSync(join(ledger, '..', 'log.vkey'), 'utf8').trim();
      const names = { ledger, id, vkey, third: counted[2]?.call ?? '' };
      await play(
        counter.at,
        `
    $ portcullis verify {ledger}
    verified  … entries, every one under a signed head  (… ms)
      key      portcullis.local/…/counter  from ~/home/state/gates/counter/log.vkey
      compared with the head kept from before, at … entries

    $ portcullis verify ~/home/state/gates/counter --quick
    verified  …
    …

    $ portcullis replay {ledger}
    replayed  5 calls, 0 differences
      transitions  5 the same, 0 still open
      decisions    3 the same, 0 not replayable
      digest       sha256:…

    $ portcullis log {ledger} --call {id}
    …  {id}  me  counter/count  permitted by count
    …  {id}  me  counter/count  completed after … ms

    $ portcullis log {ledger} --denied
    …  counter/echo  denied TOOL_UNKNOWN: the tool is not known…
    …  no/such/method  denied METHOD_UNKNOWN: the method is not known…

    $ portcullis log {ledger} --tool count --last 1 --payloads
    …  counter/count  completed after … ms
          sha256:…  {"content":[{"text":"3","type":"text"}]}

    $ portcullis log {ledger} --agent nobody

    $ portcullis log {ledger} --since 2h --server counter --last 1
    …

    $ portcullis log {ledger} --since yesterday
    portcullis: "yesterday" is not a time
    portcullis: hint: write 2026-11-21T09:00:00Z, or 10m, 2h, 3d
    (exit 2)

    $ portcullis prove {ledger} {id} -o proof
    wrote proof: 2 entries, … bytes
      it verifies with: portcullis verify proof --key '{vkey}'

    $ portcullis verify proof --key '{vkey}'
    verified  2 entries of portcullis.local/…/counter, a log of …
      entry …  call.intent
      entry …  call.ending
      key      from the command line

    $ portcullis prove {ledger} {third} -o shown --disclose
    wrote shown: 2 entries, … bytes, … payloads shown
    …

    $ portcullis verify shown
    verified  2 entries …
    …
      shown     sha256:…  {"by":3}
    …

    $ portcullis prove {ledger} 01ARZ3NDEKTSV4RRFFQ69G5FAV -o none
    portcullis: the ledger has no call 01ARZ3NDEKTSV4RRFFQ69G5FAV
    portcullis: hint: portcullis log shows the ids
    (exit 1)
    `,
        names,
      );

      const proof = counter.at.read('proof');
      for (const at of [proof.indexOf('"seq"') + 7, Math.floor(proof.length / 2), proof.length - 10]) {
        const altered = `${proof.slice(0, at)}${proof[at] === 'A' ? 'B' : 'A'}${proof.slice(at + 1)}`;
        counter.at.write('altered', altered);
        const ended = await counter.at.run(['verify', 'altered', '--key', vkey]);
        expect(ended.code, ended.stdout + ended.stderr).toBe(5);
      }

      const segment = join(ledger, 'seg', '000000000000.jsonl');
      const whole = readFileSync(segment, 'utf8');
      const seq = counted[1]?.intent?.seq ?? 0;
      const edited = whole.replace(`"at":`, '"at": ').length === whole.length ? whole : whole;
      const lines = edited.split('\n');
      const victim = lines.findIndex((text) => text.includes(`"seq":${seq},`));
      lines[victim] = (lines[victim] ?? '').replace('"agent":"me"', '"agent":"mE"');
      expect(lines.join('\n')).not.toBe(whole);
      writeFileSync(segment, lines.join('\n'));
      await play(
        counter.at,
        `
    $ portcullis verify {ledger}
    NOT VERIFIED  … finding(s); intact up to entry …
      …: entry ${seq}, 000000000000.jsonl line ${victim + 1}: …
    …
    (exit 5)

    $ portcullis replay {ledger}
    portcullis: the ledger does not verify, so there is nothing to replay
    portcullis: hint: run: portcullis verify {ledger}
    (exit 5)

    $ portcullis doctor
    …
    PROBLEM  ledger counter  does not verify  ~/home/state/gates/counter/ledger
                             portcullis verify ~/home/state/gates/counter/ledger
    …
    (exit 1)
    `,
        names,
      );

      // Cut off at the end of an earlier batch, everything that is left is as it was: only what was kept outside tells.
      const until = whole.slice(0, whole.lastIndexOf('["cp"', whole.lastIndexOf('["cp"') - 1));
      writeFileSync(segment, until.slice(0, until.lastIndexOf(']\n') + 2));
      const cut = await counter.at.run(['verify', ledger]);
      expect(cut.code, cut.stdout).toBe(5);
      const shut = counter.wrap();
      shut.child.stdin.end();
      expect((await shut.ended).code).toBe(7);
      expect(shut.stderr).toMatch(/portcullis: .*(ledger|entries|head)/);
      writeFileSync(segment, whole);
      expect((await counter.at.run(['verify', ledger])).code).toBe(0);

      // What was kept outside is altered: that is not the same as having kept nothing.
      const heads = join(ledger, '..', 'heads.json');
      const kept = readFileSync(heads, 'utf8');
      for (const altered of [kept.slice(0, -10), kept.replaceAll(/— (\S+) ..../g, '— $1 AAAA'), '']) {
        expect(altered).not.toBe(kept);
        writeFileSync(heads, altered);
        const ended = await counter.at.run(['verify', ledger, '--json']);
        expect(ended.code, ended.stdout).toBe(5);
        expect(JSON.parse(ended.stdout)).toMatchObject({ error: expect.stringContaining('heads.json') });
      }
      writeFileSync(heads, kept);
      expect((await counter.at.run(['verify', ledger])).code).toBe(0);
    },
    90_000,
  );

  it('are followed while they grow, until the reader goes away', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const follower = counter.at.start(['log', '--follow', '--json', '--payloads']);
    await client.call('count', { by: 41 });
    await follower.says('{\\"by\\":41}');
    await client.call('count', { by: 42 });
    await follower.says('{\\"by\\":42}');
    for (const line of follower.stdout.trim().split('\n')) expect(typeof JSON.parse(line)).toBe('object');
    follower.child.stdout.destroy();
    await client.call('count', { by: 43 });
    expect((await follower.ended).signal).toBe(null);
  }, 60_000);
});

describe('hostile text', () => {
  it('is made visible before it is printed: names of tools and methods, lines of servers', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const evil = 'x\u001b[2J\u001b]0;owned\u0007\u202e\r\n FAKE  permitted by all';
    await client.call(evil, {});
    await client.ask(evil);
    client.running.child.stdin.end();
    await client.running.ended;
    for (const args of [['log'], ['log', '--denied', '--payloads'], ['log', '--all']]) {
      const { stdout, stderr, code } = await counter.at.run(args);
      expect(code).toBe(0);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
      expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
      expect(stdout).not.toMatch(/^ FAKE/m);
      expect(stdout).toContain('owned');
    }
  }, 60_000);
});
