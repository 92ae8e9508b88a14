// Facts of the gate itself in the ledger: which tools were pinned, which policy came into force. An entry is small and a server may have
// thousands of tools, so the text lies in the vault and the entry commits to it.

import { randomBytes, sha256 } from '../adapters/crypto/node-crypto.ts';
import type { EndedProcess } from '../adapters/upstream/stdio/process-pipe.ts';
import { type AnomalyLimits, limitsJson } from '../control-plane/anomaly/limits.ts';
import type { PolicySource } from '../control-plane/policy/source.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Digest } from '../domain/digest.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import { commit } from '../ledger/vault.ts';
import type { PinnedServer } from '../proxy/catalogue.ts';
import type { Recorder } from '../proxy/ports.ts';
import { recordedText } from '../proxy/recorded-text.ts';
import type { PinChanges, Pins } from './pins.ts';
import type { ServerLaunch } from './servers.ts';

/** As much of a server's standard error as explains an end. */
const STDERR_BYTES_MAX = 16 * 1024;
/** A reason may quote what the server wrote. */
const REASON_CHARACTERS_MAX = 500;

export class GateFacts {
  readonly #recorder: Recorder;
  readonly #pins: Pins;
  readonly #note: (text: string) => void;
  readonly #pinned = new Set<string>();

  constructor(recorder: Recorder, pins: Pins, note: (text: string) => void) {
    this.#recorder = recorder;
    this.#pins = pins;
    this.#note = note;
  }

  /** Records a server's tools once in a run, and tells the operator where they are not those of the last run. Rejects when it could not. */
  async toolsPinned(launch: ServerLaunch, pinned: PinnedServer): Promise<void> {
    if (this.#pinned.has(launch.name)) return;
    const tools = Object.fromEntries([...pinned.tools.values()].map(({ name, digest }) => [name, digest]));
    const changes = await this.#pins.observe(launch.name, tools);
    this.#tell(launch.name, changes);
    const { known, added, changed, removed } = changes;
    const text = { launch: launch.description, tools, since: known ? { added, changed, removed } : null };
    const { attestation } = pinned;
    await this.#append(
      { type: 'tools.pinned', server: launch.name, attestation, count: pinned.tools.size, changed: changed.length },
      text,
    );
    this.#pinned.add(launch.name);
  }

  /** Records the policy with everything that replay needs to assemble it again, and what is too much from now on. Rejects when it could not. */
  async policyInstalled(
    policy: Digest,
    version: number,
    boot: string,
    source: PolicySource,
    anomalies: AnomalyLimits,
  ): Promise<void> {
    const fields = { type: 'policy.installed', policy, version, boot, anomalies: limitsJson(anomalies) };
    // Plain data through and through; only its interfaces do not say so.
    await this.#append(fields, source as unknown as JsonObject);
  }

  /** Records that the connection to a server ended by itself. What cannot be recorded is not counted. */
  async serverEnded(server: string): Promise<void> {
    try {
      await this.#recorder.append({ type: 'server.ended', server }, []);
    } catch {
      this.#note(`the connection to ${server} ended, which could not be recorded`);
    }
  }

  /** Records that a server's process went, and commits to what it said last. Rejects when it could not. */
  async processEnded(server: string, { key, detail, by, stderr }: EndedProcess): Promise<void> {
    const reason = recordedText(detail, REASON_CHARACTERS_MAX);
    const entry = { type: 'process.ended', server, process: key, by, reason };
    const said = stderr.subarray(-STDERR_BYTES_MAX);
    if (said.length === 0) {
      await this.#recorder.append({ ...entry, stderr: null }, []);
      return;
    }
    const { source, payload } = committed(said);
    await this.#recorder.append({ ...entry, stderr: source }, [payload]);
  }

  async #append(fields: { readonly type: string } & JsonObject, text: Json): Promise<void> {
    const { source, payload } = committed(new TextEncoder().encode(canonicalJson(text)));
    await this.#recorder.append({ ...fields, source }, [payload]);
  }

  #tell(server: string, { changed, added, removed }: PinChanges): void {
    if (changed.length + added.length + removed.length === 0) return;
    const names = (list: readonly string[]): string => list.map((tool) => visibleText(tool, 80)).join(', ') || 'none';
    this.#note(
      `${server}: the tools are not those of the last run. changed: ${names(changed)}; added: ${names(added)}; gone: ${names(removed)}`,
    );
  }
}

function committed(bytes: Uint8Array) {
  const salt = randomBytes(32);
  const commitment = commit(sha256, salt, bytes);
  return { source: { commitment, bytes: bytes.byteLength }, payload: { commitment, salt, bytes } };
}
