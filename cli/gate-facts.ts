// Facts of the gate itself in the ledger: as what a server was offered, that it was something else, which policy came into force. An entry is small and a server may have
// thousands of tools, so the text lies in the vault and the entry commits to it.

import { randomBytes, sha256 } from '../adapters/crypto/node-crypto.ts';
import type { EndedProcess } from '../adapters/upstream/stdio/process-pipe.ts';
import { type AnomalyLimits, limitsJson } from '../control-plane/anomaly/limits.ts';
import {
  changesBetween,
  DEFINED_LISTS,
  type DefinitionChanges,
  definitionDigest,
  type ServerDefinition,
} from '../control-plane/integrity/definition.ts';
import type { PolicySource } from '../control-plane/policy/source.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Digest } from '../domain/digest.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { commit } from '../ledger/vault.ts';
import { digestOf } from '../proxy/catalogue.ts';
import type { Recorder } from '../proxy/ports.ts';
import { recordedText } from '../proxy/recorded-text.ts';
import { saysRepeatable } from '../proxy/unknown-calls.ts';
import type { Approval } from './approvals.ts';

/** As much of a server's standard error as explains an end. */
const STDERR_BYTES_MAX = 16 * 1024;
/** A reason may quote what the server wrote. */
const REASON_CHARACTERS_MAX = 500;

export class GateFacts {
  readonly #recorder: Recorder;
  readonly #note: (text: string) => void;

  constructor(recorder: Recorder, note: (text: string) => void) {
    this.#recorder = recorder;
    this.#note = note;
  }

  /** A server is offered as it was approved; `before`: what was offered of it until now. Rejects when it could not be recorded. */
  async serverPinned(
    server: string,
    { definition: attestation, number, at, by }: Approval,
    definition: ServerDefinition,
    before: ServerDefinition | undefined,
  ): Promise<void> {
    const { launch, tools, prompts, resourceTemplates } = definition;
    const since = before === undefined ? undefined : changesBetween(before, definition);
    const text = {
      launch,
      tools: Object.fromEntries(tools.map((tool) => [String(tool.name), digestOf(sha256, tool)])),
      prompts: prompts.length,
      resourceTemplates: resourceTemplates.length,
      repeatable: tools.filter(saysRepeatable).map(({ name }) => String(name)),
      approval: { number, at, by },
      since: since === undefined ? null : changesJson(since),
    };
    const changed = since?.tools.changed.length ?? 0;
    await this.#append({ type: 'tools.pinned', server, attestation, count: tools.length, changed }, text);
  }

  /** A server said that it is something else than what was approved, and was set aside. */
  async serverDrifted(
    server: string,
    { definition: approved }: Approval,
    seen: ServerDefinition,
    changes: DefinitionChanges,
  ): Promise<void> {
    await this.#append(
      { type: 'tools.drifted', server, approved, seen: definitionDigest(sha256, seen) },
      { changes: changesJson(changes) },
    );
  }

  /** The approval of a server was taken back. */
  async serverWithdrawn(server: string, definition: ServerDefinition): Promise<void> {
    await this.#recorder.append(
      { type: 'tools.withdrawn', server, attestation: definitionDigest(sha256, definition) },
      [],
    );
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
}

function changesJson({ launch, instructions, ...lists }: DefinitionChanges): JsonObject {
  return {
    launch,
    instructions,
    ...Object.fromEntries(
      DEFINED_LISTS.map((list) => {
        const { added, changed, removed } = lists[list];
        return [list, { added: [...added], changed: [...changed], removed: [...removed] }];
      }),
    ),
  };
}

function committed(bytes: Uint8Array) {
  const salt = randomBytes(32);
  const commitment = commit(sha256, salt, bytes);
  return { source: { commitment, bytes: bytes.byteLength }, payload: { commitment, salt, bytes } };
}
