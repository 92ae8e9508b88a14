// portcullis doctor: what is here, what works, and what to do about the rest. Changes nothing.

import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { findSandbox } from '../../adapters/sandbox/machine.ts';
import { countsProcessesHere } from '../../adapters/sandbox/sandboxes.ts';
import { launchPlan, type MachineMeans } from '../../adapters/upstream/stdio/launch-plan.ts';
import { findMachineMeans } from '../../adapters/upstream/stdio/machine-means.ts';
import { clientFindings } from '../client-findings.ts';
import { configurationFile, readConfiguration, STARTER_HINTS } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { type GateState, gateStates } from '../gate-states.ts';
import { findHome, gateFolder, type Home } from '../home.ts';
import { checkKeys } from '../key-registry.ts';
import { openKeys } from '../ledger.ts';
import { ownLedgers } from '../ledger-folder.ts';
import { backupsOf } from '../onboarding/client-files.ts';
import { type Output, output, reasonOf } from '../output.ts';
import { type Finding, serverFindings } from '../server-findings.ts';
import { packageVersion } from '../version.ts';
import { verify } from './verify.ts';

export interface DoctorOptions {
  readonly config?: string;
}

export async function doctor(options: DoctorOptions, out: Output): Promise<number> {
  const home = findHome();
  const findings: Finding[] = [];
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const newEnough = major > 20 || (major === 20 && minor >= 19);
  findings.push({
    check: 'node',
    state: newEnough ? 'ok' : 'problem',
    detail: process.versions.node,
    ...(newEnough ? {} : { hint: 'Node 20.19 or newer is needed' }),
  });
  findings.push(configurationFinding(home, options.config));
  findings.push(await keysFinding(home));
  findings.push(...backupsFindings(home));
  findings.push(...(await ledgerFindings()));
  const gates = await gateStates(home);
  findings.push(...gates.map(gateFinding));
  const means = await findMachineMeans();
  findings.push(processesFinding(means));
  findings.push(...(await sandboxFindings(home, options.config, means)));
  findings.push(...(await serverFindings(home, options.config)));
  const clients = clientFindings(home, Date.now());
  findings.push(...clients.findings);
  const problems = findings.filter(({ state }) => state === 'problem').length;
  const { servers, gaps } = clients;
  out.answer({ version: packageVersion(), home, findings, gates, clients: servers, problems, gaps });
  const mark = {
    ok: out.style('green', 'ok     '),
    remark: out.style('cyan', 'remark '),
    problem: out.style('red', 'PROBLEM'),
  };
  out.line(`portcullis ${packageVersion()}`);
  for (const { check, state, detail, hint } of findings) {
    out.line(`${mark[state]}  ${check.padEnd(14)}  ${detail}`);
    if (hint !== undefined) out.line(`         ${' '.repeat(14)}  ${hint}`);
  }
  if (servers.length > 0)
    out.line(
      `governed ${servers.filter(({ state }) => state === 'seen').length} of ${servers.length} servers of clients`,
    );
  if (problems > 0) return EXIT.error;
  return gaps === 0 ? EXIT.ok : EXIT.gaps;
}

/** A run that was killed is finished by the next one: looking changes nothing. */
function backupsFindings(home: Home): Finding[] {
  const check = 'clients';
  try {
    return backupsOf(home)
      .runs()
      .filter(({ state }) => state === 'open')
      .map(({ command, at }) => {
        const detail = `portcullis ${command} of ${at} was cut off, or is at work now`;
        return {
          check,
          state: 'problem',
          detail,
          hint: 'find out what became of it: portcullis init, or portcullis restore --all',
        };
      });
  } catch (error) {
    const hint = 'without it restore does not know what was written; the bytes of the files lie beside it';
    return [{ check, state: 'problem', detail: reasonOf(error), hint }];
  }
}

/** Whether a sandbox can be made here, and which servers stay shut for want of one, or of limits that the machine cannot hold. */
async function sandboxFindings(home: Home, named: string | undefined, means: MachineMeans): Promise<Finding[]> {
  const found = await findSandbox();
  const check = 'sandbox';
  const findings: Finding[] = [
    found.ok
      ? { check, state: 'ok', detail: `servers can have one (${found.machine.bwrap})` }
      : { check, state: 'remark', detail: found.reason, hint: found.hint },
  ];
  const file = configurationFile(home, named);
  if (file === undefined) return findings;
  try {
    for (const [server, { stdio, sandbox }] of Object.entries(readConfiguration(file).manifest.servers)) {
      const counted = { before: [], init: [], countsProcesses: countsProcessesHere() };
      const around = sandbox === undefined ? means.enclosure : counted;
      const planned = launchPlan({ file: '', args: [], resources: stdio?.resources ?? {} }, means, around);
      const lacking = sandbox !== undefined && !found.ok ? found.reason : planned.ok ? undefined : planned.reason;
      if (lacking === undefined) continue;
      const hint = sandbox !== undefined && !found.ok ? { hint: found.hint } : {};
      findings.push({ check: `server ${server}`, state: 'problem', detail: `stays shut: ${lacking}`, ...hint });
    }
  } catch {
    // Told as a problem of the configuration already.
  }
  return findings;
}

/** What holds the processes of servers here. */
function processesFinding({ setpriv, prlimit, enclosure }: MachineMeans): Finding {
  const missing = [
    ...(setpriv === undefined
      ? ['servers could outlive a gate that is killed: there is no parent-death signal here']
      : []),
    ...(enclosure === undefined ? ['what a server starts can get away from it: there is no pid namespace here'] : []),
    ...(prlimit === undefined ? ['servers cannot be limited here'] : []),
  ];
  return missing.length > 0
    ? { check: 'processes', state: 'remark', detail: missing.join('; ') }
    : {
        check: 'processes',
        state: 'ok',
        detail: 'servers are limited, and die with the gate and with all they started',
      };
}

function configurationFinding(home: ReturnType<typeof findHome>, named: string | undefined): Finding {
  const file = configurationFile(home, named);
  const check = 'configuration';
  if (file === undefined) {
    const detail = `none in ${home.config}: every call is denied`;
    return { check, state: 'remark', detail, hint: STARTER_HINTS.join('; ') };
  }
  try {
    const { manifest, policies } = readConfiguration(file);
    const servers = Object.keys(manifest.servers).join(', ') || 'none';
    return {
      check,
      state: 'ok',
      detail: `${file}: servers ${servers}; ${policies.length} rule file(s)`,
      hint: 'rules against real tools: portcullis policy check',
    };
  } catch (error) {
    return { check, state: 'problem', detail: reasonOf(error), hint: `mend ${file}` };
  }
}

/** A gate that is shut, or does not answer, is a problem; one that does not run is none. */
function gateFinding({ gate, running, problem, shut, waiting }: GateState): Finding {
  const check = `gate ${gate}`;
  if (problem !== undefined)
    return { check, state: 'problem', detail: problem, hint: 'is its process alive? is it stopped?' };
  const [first] = shut;
  const calls = waiting.calls === 0 ? [] : [`${waiting.calls} call(s) may have run: portcullis calls unknown`];
  const aside = waiting.aside.map(({ kind, id, code, lifted }) => `${kind} ${id} is set aside (${code}): ${lifted}`);
  const hint = [...shut.map(({ code, opens }) => `${code} opens: ${opens}`), ...calls, ...aside].join('; ');
  const common = { check, ...(hint === '' ? {} : { hint }) };
  if (first !== undefined) {
    const what = running ? 'shut' : 'not running; shut from its next start on';
    const why = first.detail === '' ? '' : `: ${first.detail}`;
    return { ...common, state: 'problem', detail: `${what}  ${first.code} since ${first.since}${why}` };
  }
  return { ...common, state: hint === '' ? 'ok' : 'remark', detail: running ? 'open' : 'not running' };
}

async function keysFinding(home: Home): Promise<Finding> {
  const folder = gateFolder(home, 'any').keys;
  if (!existsSync(folder))
    return { check: 'keys', state: 'remark', detail: `none yet; the first start makes them in ${folder}` };
  try {
    const keys = openKeys(folder);
    await checkKeys(home, keys);
    return { check: 'keys', state: 'ok', detail: `installation ${keys.instance} in ${folder}` };
  } catch (error) {
    return { check: 'keys', state: 'problem', detail: reasonOf(error) };
  }
}

async function ledgerFindings(): Promise<Finding[]> {
  const ledgers = ownLedgers();
  if (ledgers.length === 0) return [{ check: 'ledger', state: 'remark', detail: 'none yet' }];
  const quiet = output(true, { stdout: { write: () => true }, stderr: { write: () => true } });
  return Promise.all(
    ledgers.map(async ({ dir, gate }): Promise<Finding> => {
      const check = `ledger ${basename(gate)}`;
      try {
        const good = (await verify(dir, { quick: true }, quiet)) === EXIT.ok;
        return good
          ? { check, state: 'ok', detail: `verified  ${dir}` }
          : { check, state: 'problem', detail: `does not verify  ${dir}`, hint: `portcullis verify ${dir}` };
      } catch (error) {
        return { check, state: 'problem', detail: `${dir}: ${reasonOf(error)}` };
      }
    }),
  );
}
