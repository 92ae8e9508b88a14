// What stands in these examples for a person who looks at servers before anything of them is offered. It says yes to what it has just seen, which is what
// the examples themselves wrote or installed; `portcullis tools approve` shows every word and asks.

import { Approvals } from '../cli/approvals.ts';
import { measuringMeans } from '../cli/attestations.ts';
import { gateFolder, type Home } from '../cli/home.ts';
import { openKeys } from '../cli/ledger.ts';
import { readDefinition } from '../cli/live-definition.ts';
import { measureForApproval } from '../cli/measured-launch.ts';
import type { ServerLaunch } from '../cli/servers.ts';
import type { ServerDefinition } from '../control-plane/integrity/definition.ts';
import type { EnvironmentRecord } from '../control-plane/integrity/environment.ts';
import type { Digest } from '../domain/digest.ts';

export interface ApprovedServer {
  readonly name: string;
  readonly definition: ServerDefinition;
  readonly digest: Digest;
  /** What it runs; null for one that is no process. */
  readonly environment: EnvironmentRecord | null;
}

/** Measures each server, asks it what it is, and approves that. Rejects where one cannot be asked. */
export async function approveAsTheyAre(home: Home, launches: readonly ServerLaunch[]): Promise<ApprovedServer[]> {
  const { vault } = openKeys(gateFolder(home, 'any').keys);
  const means = measuringMeans(home.state, vault);
  try {
    const seen = await Promise.all(
      launches.map(async (launch) => {
        const measured = await measureForApproval(launch, home.state, means);
        const definition = await readDefinition(launch, { guard: measured?.guard });
        return { name: launch.name, definition, environment: measured?.record ?? null };
      }),
    );
    const approvals = new Approvals(home.state, vault);
    const approved: ApprovedServer[] = [];
    for (const { name, definition, environment } of seen) {
      const { definition: digest } = await approvals.approve(name, definition, { by: 'the example', environment });
      approved.push({ name, definition, digest, environment });
    }
    return approved;
  } finally {
    await means.thread.close();
  }
}
