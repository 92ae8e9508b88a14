// What each server of a configuration waits for, as far as that is known without starting it: an approval, a person who looks at what it turned into, a
// means that this machine lacks. With the command that comes next.

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { CAN_SEE_PROCESSES } from '../adapters/integrity/running-process.ts';
import { isJsonObject } from '../domain/json.ts';
import { type Approval, Approvals, approvalFor } from './approvals.ts';
import { type Configuration, configurationFile, readConfiguration } from './configuration.ts';
import { gateFolder, type Home } from './home.ts';
import { openKeys } from './ledger.ts';
import { reasonOf } from './output.ts';
import { reviewCommand } from './review-command.ts';
import { launchOf, type ServerLaunch } from './servers.ts';

export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'remark' | 'problem';
  readonly detail: string;
  readonly hint?: string;
}

/** Never rejects; of a configuration that cannot be read nothing is said. */
export async function serverFindings(home: Home, named: string | undefined): Promise<Finding[]> {
  const file = configurationFile(home, named);
  let configuration: Configuration;
  try {
    if (file === undefined) return [];
    configuration = readConfiguration(file);
  } catch {
    return [];
  }
  const { manifest } = configuration;
  const findings: Finding[] = [];
  try {
    const { keys } = gateFolder(home, 'any');
    // Looking makes no keys: without any nothing was approved.
    const approvals = existsSync(keys) ? (await new Approvals(home.state, openKeys(keys).vault).read()).approvals : [];
    for (const [name, server] of Object.entries(manifest.servers)) {
      if (server.inProcess !== undefined) continue;
      const launch = await launchOf(name, server, dirname(configuration.file));
      const found = findingOf(launch, approvals, configuration);
      if (found !== undefined) findings.push({ check: `server ${name}`, ...found });
    }
  } catch (error) {
    findings.push({ check: 'approvals', state: 'problem', detail: `no server is offered: ${reasonOf(error)}` });
  }
  const hasProcess = Object.values(manifest.servers).some(({ stdio }) => stdio !== undefined);
  if (hasProcess && !CAN_SEE_PROCESSES)
    findings.push({
      check: 'attestation',
      state: 'remark',
      detail: `what a process of a server runs is measured before it is started and not seen while it runs on ${process.platform}`,
    });
  return findings;
}

function findingOf(
  launch: ServerLaunch,
  approvals: readonly Approval[],
  configuration: Configuration,
): Omit<Finding, 'check'> | undefined {
  const { name, ranIn, description } = launch;
  const approval = approvalFor(approvals, name, description);
  const next = (verb: 'approve' | 'diff'): string => reviewCommand(verb, launch, configuration);
  if (approval === undefined) {
    const others = approvals.filter(({ server }) => server === name).length;
    const where = ranIn === undefined ? '' : ` as it is started in ${ranIn}`;
    const also = others === 0 ? '' : `; ${others} other way(s) to it are approved`;
    return { state: 'remark', detail: `waits for approval${where}${also}`, hint: next('approve') };
  }
  if (approval.drift !== null)
    return { state: 'problem', detail: 'is set aside: it is not what was approved', hint: next('diff') };
  if (isJsonObject(description.stdio) && approval.environment === null)
    return {
      state: 'problem',
      detail: 'is not started: what it runs was not measured when it was approved',
      hint: next('approve'),
    };
  return undefined;
}
