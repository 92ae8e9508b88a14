// A Portcullis as a user would set it up, in a folder of its own: one agent, one server, one rule that allows and one that forbids.
// Everything is on: policy, permits, ledger with fdatasync. There is no faster setting to measure instead.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { approveServersNow } from './approved-servers.ts';
import { ECHO_SERVER, OWN_PACKAGE, PORTCULLIS, ROOT } from './places.ts';

const MANIFEST = `apiVersion: portcullis/v1
namespace: Bench
agents:
  bench: { roles: [dev], root: true, auth: local }
servers:
  bench:
    stdio: { command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(ECHO_SERVER)}], cwd: ${JSON.stringify(ROOT)} }
facts:
  bench:
    echo: { text: { kind: bytes, from: [/text] } }
`;

const POLICY = `@id("echo-bench-texts")
@reason("developers may echo the texts of the benchmark")
permit (principal in Bench::Role::"dev", action == Bench::Action::"bench/echo", resource == Bench::Server::"bench")
when { context.facts.text.bytes <= 2097152 };

@id("freeze")
@reason("nothing is echoed while the governance state is not normal")
forbid (principal, action == Bench::Action::"bench/echo", resource == Bench::Server::"bench")
unless { context.governance.state == "normal" };
`;

export interface LedgerCheck {
  readonly verified: boolean;
  readonly intents: number;
  readonly endings: number;
  readonly said: string;
}

export class PortcullisHome {
  readonly config: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #folder: string;

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'portcullis-bench-'));
    const home = join(this.#folder, 'home');
    this.config = join(home, 'portcullis.yaml');
    this.env = { ...process.env, PORTCULLIS_HOME: home };
    process.once('exit', () => this.remove()); // Also when the bench is interrupted.
    mkdirSync(join(home, 'policy'), { recursive: true });
    writeFileSync(this.config, MANIFEST);
    if (!existsSync(OWN_PACKAGE))
      writeFileSync(OWN_PACKAGE, '{ "name": "portcullis-bench", "private": true, "type": "module" }\n');
    writeFileSync(join(home, 'policy', 'bench.cedar'), POLICY);
    approveServersNow(this.config, this.env);
  }

  /** Verifies every ledger of this home with the command a user would type, and counts the calls in them. Call it after the gate has ended. */
  checkLedgers(): LedgerCheck {
    const ledgers = foldersHolding(this.#folder, 'seg');
    const counted = { intents: 0, endings: 0 };
    for (const ledger of ledgers) {
      for (const segment of readdirSync(join(ledger, 'seg'))) {
        const text = readFileSync(join(ledger, 'seg', segment), 'latin1');
        counted.intents += occurrences(text, '"type":"call.intent"');
        counted.endings += occurrences(text, '"type":"call.ending"');
      }
    }
    const runs = ledgers.map((ledger) =>
      spawnSync(process.execPath, [PORTCULLIS, 'verify', ledger], { encoding: 'utf8', env: this.env }),
    );
    const said = runs.map((run) => `${run.stdout}${run.stderr}`.trim()).join('\n');
    return {
      ...counted,
      verified: runs.length > 0 && runs.every((run) => run.status === 0),
      said: said || 'no ledger was found',
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function foldersHolding(folder: string, name: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (entries.some((entry) => entry.name === name)) return [folder];
  return entries.flatMap((entry) => foldersHolding(join(folder, entry.name), name));
}

function occurrences(text: string, wanted: string): number {
  return text.split(wanted).length - 1;
}
