// What the gate knows of its servers themselves: of each the definition that is pinned, and of each that is a process the environment that it runs in.
// What is not known, or not in the ledger yet, is no attestation. An environment that is not the approved one sets its server aside.

import { join } from 'node:path';
import { hmacSha256, sha256 } from '../adapters/crypto/node-crypto.ts';
import type { ApprovedEnvironment, Drift } from '../adapters/integrity/attested-server.ts';
import { Attestor } from '../adapters/integrity/attestor.ts';
import { environmentOf, type Means } from '../adapters/integrity/environment-of.ts';
import { KnownMeasurements } from '../adapters/integrity/known-measurements.ts';
import { MeasuringThread } from '../adapters/integrity/measuring-thread.ts';
import type { StartGuard } from '../adapters/upstream/stdio/start-guard.ts';
import { type EnvironmentRecord, environmentDigest } from '../control-plane/integrity/environment.ts';
import { type Denial, deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import { type Catalogue, digestOf } from '../proxy/catalogue.ts';
import type { Attestations, Recorder } from '../proxy/ports.ts';
import type { Quarantined } from '../proxy/quarantine.ts';
import { recordFact } from './committed-fact.ts';
import type { ServerLaunch } from './servers.ts';
import { systemClock } from './system-clock.ts';

export interface AttestationPorts {
  /** The folder of the installation's state. */
  readonly state: string;
  /** Of the installation: values of variables are told apart with it, and known measurements sealed. */
  readonly secret: Uint8Array;
  readonly launches: readonly ServerLaunch[];
  readonly catalogue: Pick<Catalogue, 'server'>;
  readonly recorder: Pick<Recorder, 'append'>;
  readonly approved: (server: string) => ApprovedEnvironment | undefined;
  /** In force when it returns. */
  readonly setAside: (quarantined: Quarantined) => Promise<unknown>;
  readonly lift: (server: string) => void;
  /** What a person runs to see what a server runs, or to approve it. */
  readonly command: (verb: 'integrity' | 'approve', server: string) => string;
  readonly note: (text: string) => void;
}

export interface ServerAttestations extends Attestations {
  /** Looks at the processes of a server; undefined for one that is none. */
  guard(server: string): StartGuard | undefined;
  /**
   * Looks at what a server would run now, and nothing comes of it but that the look before it starts is sooner done: loading the thread and the first look
   * at thousands of files take longer than every look after that.
   */
  lookAhead(server: string): void;
  close(): Promise<void>;
}

/** Where what was measured is remembered, and where copies of packages lie. */
export function measuringMeans(state: string, secret: Uint8Array): Means {
  const keyFor = (purpose: string) => hmacSha256(secret, new TextEncoder().encode(`portcullis/${purpose}/v1`));
  const [sealing, values] = [keyFor('measured'), keyFor('environment')];
  return {
    thread: new MeasuringThread(),
    known: new KnownMeasurements(join(state, 'measured.json'), (bytes) => hmacSha256(sealing, bytes)),
    keyed: (bytes) => hmacSha256(values, bytes),
    store: join(state, 'store'),
  };
}

/** What is said of a server in a permit. */
export function attestationOf(definition: Digest, environment: Digest | null): Digest {
  return digestOf(sha256, { definition, environment });
}

export function attestServers(ports: AttestationPorts): ServerAttestations {
  /** Digests of environments that are in the ledger, and those on their way there. */
  const recorded = new Map<string, Digest>();
  const recording = new Map<string, Promise<void>>();
  const composed = new Map<string, { readonly key: string; readonly digest: Digest }>();
  const means = measuringMeans(ports.state, ports.secret);
  const attestor = new Attestor({
    ...means,
    nowMs: () => systemClock.monotonic(),
    approved: ports.approved,
    onGood: (server, record) => {
      ports.lift(server);
      recording.set(server, recordIt(server, record));
    },
    onDrift: (server, drift) => {
      recorded.delete(server);
      void setAside(server, drift);
    },
  });
  const processes = new Map<string, StartGuard>();
  for (const { name, description } of ports.launches) {
    if (!isJsonObject(description.stdio)) continue;
    const server = attestor.server(name, sandboxOf(description));
    processes.set(name, {
      before: (line) => server.before(line),
      started: async (process) => {
        await server.started(process);
        await recording.get(name);
      },
      ended: (process) => server.ended(process),
    });
  }

  async function recordIt(server: string, record: EnvironmentRecord): Promise<void> {
    const environment = environmentDigest(sha256, record);
    if (recorded.get(server) === environment) return;
    await recordFact(ports.recorder, { type: 'environment.measured', server, environment }, record);
    recorded.set(server, environment);
  }

  async function setAside(server: string, { reason, differences, measured }: Drift): Promise<void> {
    const said = `its environment is not the one that was approved: ${reason}`;
    const stopping = ports.setAside({
      kind: 'server',
      id: server,
      code: 'SERVER_QUARANTINED',
      reason: said,
      cause: 'environment',
    });
    ports.note(
      `server ${server} is set aside: ${visibleText(said, 400)}. See it: ${ports.command('integrity', server)}; where it is as it should be: ${ports.command('approve', server)}`,
    );
    const now = measured === undefined ? null : environmentDigest(sha256, measured);
    const text = { reason, differences: differences.map((one) => ({ ...one })), measured: measured ?? null };
    // The ledger that cannot be written shuts the gate by itself.
    await recordFact(ports.recorder, { type: 'environment.drifted', server, environment: now }, text).catch(() => {});
    await stopping;
  }

  function of(server: string): Digest | Denial {
    const definition = ports.catalogue.server(server)?.attestation;
    if (definition === undefined) return deny('ENV_UNKNOWN', 'nothing is pinned of it');
    if (!processes.has(server)) return known(server, definition, null);
    const problem = attestor.problem(server);
    if (problem !== undefined) return problem;
    const environment = recorded.get(server);
    return environment === undefined
      ? deny('ENV_UNKNOWN', 'its environment is not recorded yet')
      : known(server, definition, environment);
  }

  function known(server: string, definition: Digest, environment: Digest | null): Digest {
    const key = `${definition} ${environment}`;
    const before = composed.get(server);
    if (before?.key === key) return before.digest;
    const digest = attestationOf(definition, environment);
    composed.set(server, { key, digest });
    return digest;
  }

  return {
    of,
    whileRunning: (server) => {
      const now = of(server);
      const [definition, environment] = [ports.catalogue.server(server)?.attestation, recorded.get(server)];
      const isLookedAt = typeof now !== 'string' && now.code === 'ENV_UNKNOWN' && attestor.get(server)?.isLookedAt;
      if (isLookedAt !== true || definition === undefined || environment === undefined) return now;
      return known(server, definition, environment);
    },
    settled: async (server) => {
      await attestor.get(server)?.check();
      await recording.get(server)?.catch(() => {});
    },
    guard: (server) => processes.get(server),
    lookAhead: (server) => {
      const { line } = ports.launches.find(({ name }) => name === server) ?? {};
      const look = async () => line && environmentOf({ ...line(), sandbox: null }, means);
      look().catch(() => undefined);
    },
    close: () => {
      attestor.close();
      return means.thread.close();
    },
  };
}

/** What holds a process in, as its launch says. */
export function sandboxOf(description: JsonObject): JsonObject | null {
  const { sandbox } = isJsonObject(description.stdio) ? { ...description, ...description.stdio } : description;
  return isJsonObject(sandbox) ? sandbox : null;
}
