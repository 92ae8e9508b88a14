// A key that is not the one this installation has worked with keeps the gate shut; a damaged key to verify with verifies nothing.

import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { closeInstallations, installation } from '../support/cli.ts';
import { counterGate } from '../support/counter-gate.ts';
import { play } from './session.ts';

afterAll(closeInstallations);

describe('the keys of an installation', () => {
  it('are registered with the first start, and an exchanged one keeps every gate shut', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    client.running.child.stdin.end();
    await client.running.ended;
    await play(
      counter.at,
      `
    $ portcullis keys
    installation  …  (keys in ~/home/state/keys)
    permits       …
    as a peer     { issuer: "urn:portcullis:…", key: "…" }
    active        permit  …  since …Z
    active        log     …  since …Z
    active        gate    …  since …Z
    log counter   portcullis.local/…/counter+…
    `,
    );
    const other = installation();
    expect((await other.run(['keys'])).code).toBe(0);

    const state = join(counter.at.home, 'state');
    const kept = counter.at.path('kept');
    cpSync(join(state, 'keys'), kept, { recursive: true });
    const registry = join(state, 'keys.json');
    const registered = readFileSync(registry, 'utf8');
    const exchange = (...files: readonly string[]) => {
      for (const file of files) cpSync(join(other.home, 'state', 'keys', file), join(state, 'keys', file));
    };
    const cases: readonly (readonly [string, () => void, RegExp])[] = [
      [
        'the permit key',
        () => exchange('permit.key', 'permit.pub'),
        /the key "permit" was exchanged: \S+ is registered/,
      ],
      ['the log key', () => exchange('log.key', 'log.pub'), /the key "log" was exchanged/],
      ['the key of the gate', () => exchange('gate.key', 'gate.pub'), /the key "gate" was exchanged/],
      ['half of the log key', () => exchange('log.pub'), /log\.pub is not the public half/],
      ['the key of the vault', () => exchange('vault.key'), /keys\.json was altered, or is sealed with another key/],
      ['no registry', () => rmSync(registry), /keys\.json is gone/],
      ['the registry of others', () => cpSync(join(other.home, 'state', 'keys.json'), registry), /another key/],
      [
        'all of others',
        () => {
          exchange('permit.key', 'permit.pub', 'log.key', 'log.pub', 'gate.key', 'gate.pub', 'vault.key');
          cpSync(join(other.home, 'state', 'keys.json'), registry);
        },
        /stays shut/,
      ],
    ];
    for (const [what, spoil, because] of cases) {
      spoil();
      const shut = counter.wrap();
      shut.child.stdin.end();
      expect((await shut.ended).code, `${what}: ${shut.stderr}`).toBe(7);
      expect(shut.stderr, what).toMatch(because);
      expect(shut.stderr, what).toContain('portcullis: hint: ');
      if (what !== 'all of others') {
        expect((await counter.at.run(['keys'])).code, what).toBe(7);
        const doctor = await counter.at.run(['doctor']);
        expect(doctor.code, what).toBe(1);
        expect(doctor.stdout, what).toMatch(/PROBLEM {2}keys/);
      }
      rmSync(join(state, 'keys'), { recursive: true });
      cpSync(kept, join(state, 'keys'), { recursive: true });
      // Not every Node copies the permissions of a folder.
      chmodSync(join(state, 'keys'), 0o700);
      writeFileSync(registry, registered);
    }
    const again = await counter.wrapped();
    again.running.child.stdin.end();
    expect((await again.running.ended).code).toBe(0);
  }, 120_000);

  it('that cannot be read keep the gate shut too, and so do approvals and heads that were altered', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    client.running.child.stdin.end();
    await client.running.ended;
    const state = join(counter.at.home, 'state');
    for (const file of ['approvals.json', 'gates/counter/heads.json']) {
      const path = join(state, file);
      const whole = readFileSync(path, 'utf8');
      writeFileSync(path, whole.slice(0, -9));
      const shut = counter.wrap();
      shut.child.stdin.end();
      expect((await shut.ended).code, `${file}: ${shut.stderr}`).toBe(7);
      expect(shut.stderr).toContain(`${path} is torn`);
      writeFileSync(path, whole);
    }
  }, 60_000);

  it('that are damaged where they are kept to verify with: verification fails', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    client.running.child.stdin.end();
    await client.running.ended;
    const ledger = counter.at.ledger('counter');
    const kept = join(ledger, '..', 'log.vkey');
    const vkey = readFileSync(kept, 'utf8');
    for (const damaged of ['', 'nonsense\n', vkey.slice(0, -6), vkey.replace(/\+[0-9a-f]{8}\+/, '+00000000+')]) {
      writeFileSync(kept, damaged);
      const ended = await counter.at.run(['verify', ledger]);
      expect(ended.code, ended.stderr).toBe(5);
      expect(ended.stderr).toContain(`not a verifier key: ${kept}`);
    }
    renameSync(kept, `${kept}.moved`);
    mkdirSync(kept);
    expect((await counter.at.run(['verify', ledger])).code).toBe(5);
    // One that was typed is a mistake of usage.
    expect((await counter.at.run(['verify', ledger, '--key', 'nonsense'])).code).toBe(2);
    expect((await counter.at.run(['verify', ledger, '--key', vkey.trim()])).code).toBe(0);
  }, 60_000);
});
