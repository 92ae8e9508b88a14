// What persons approved on this installation: for a server and one way to it, the definition that they were shown. In `approvals.json`, sealed; the
// definitions themselves lie beside it, each in a file that is called by its digest and is only read as what that digest says. A gate serves nothing else.
// Which revision is the newest is kept apart: an older copy, in which what was taken back would be approved again, is refused.

import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hmacSha256, sha256 } from '../adapters/crypto/node-crypto.ts';
import { syncFolder } from '../adapters/storage/ledger-files.ts';
import { openStateDocument, type StateDocument } from '../adapters/storage/state-document.ts';
import {
  definitionDigest,
  launchDigest,
  parseDefinition,
  type ServerDefinition,
} from '../control-plane/integrity/definition.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import { type Digest, isDigest } from '../domain/digest.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { lockedDuring } from './state-lock.ts';
import { systemClock } from './system-clock.ts';

/** As large as all lists of a server may be together. */
const DEFINITION_LIMITS = { bytesMax: 64 * 1024 * 1024, depthMax: 256, nodesMax: 5_000_000 };
const BY_CHARACTERS_MAX = 200;

export type Approval = {
  readonly server: string;
  /** Of the description of its launch. */
  readonly launch: Digest;
  readonly definition: Digest;
  /** What was measured of where it runs; null where nothing was. */
  readonly environment: JsonObject | null;
  /** Of several approvals the later one has the larger number. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly by: string;
  /** Since then a gate saw something else, and nobody approved the server again. */
  readonly drift: { readonly at: number; readonly definition: Digest } | null;
};

const HEAD = z.number().int().nonnegative();
const DIGEST = z.string().refine(isDigest);
const SCHEMA = z.array(
  z.strictObject({
    server: z.string().min(1).max(64),
    launch: DIGEST,
    definition: DIGEST,
    environment: z.record(z.string(), z.json()).nullable(),
    number: z.number().int().positive(),
    at: z.number().int().nonnegative(),
    by: z.string().max(BY_CHARACTERS_MAX),
    drift: z.strictObject({ at: z.number().int().nonnegative(), definition: DIGEST }).nullable(),
  }),
);

export interface KnownApprovals {
  /** Grows with everything that is written. */
  readonly revision: number;
  readonly approvals: readonly Approval[];
}

export class Approvals {
  readonly #state: string;
  readonly #key: Uint8Array;

  /** `state`: the folder of the installation's state. `secret`: of the installation. */
  constructor(state: string, secret: Uint8Array) {
    this.#state = state;
    this.#key = hmacSha256(secret, new TextEncoder().encode('portcullis/approvals/v1'));
  }

  get #file(): string {
    return join(this.#state, 'approvals.json');
  }

  /** Rejects with `StateDocumentRefused` when what lies there is not what was approved, or is older than it was once. */
  async read(revisionMin = 0): Promise<KnownApprovals> {
    const { value, revision } = await this.#open(revisionMin);
    // Whoever wrote it was killed before the next line, or knew nothing of a head.
    if (revision > (await this.#openHead()).value) await lockedDuring(this.#file, () => this.#raiseHead(revision));
    return { revision, approvals: value };
  }

  /** Keeps the definition and approves the server with it. Resolves once that is durable. */
  async approve(
    server: string,
    definition: ServerDefinition,
    { by, environment = null }: { readonly by: string; readonly environment?: JsonObject | null },
  ): Promise<Approval> {
    const digest = await this.keep(definition);
    const launch = launchDigest(sha256, definition.launch);
    return this.#change((approvals, number) => {
      const approval: Approval = {
        server,
        launch,
        definition: digest,
        environment,
        number,
        at: systemClock.now(),
        by: by.slice(0, BY_CHARACTERS_MAX),
        drift: null,
      };
      return { approvals: [...approvals.filter((one) => !isFor(one, server, launch)), approval], result: approval };
    });
  }

  /** Takes back every approval of a server. Resolves with them once that is durable. */
  async revoke(server: string): Promise<readonly Approval[]> {
    return this.#change((approvals) => {
      const result = approvals.filter((one) => one.server === server);
      return { approvals: approvals.filter((one) => one.server !== server), result };
    });
  }

  /** Remembers what was seen in the place of what was approved, so that no other start of a gate serves that server. */
  async drifted({ server, launch, number }: Approval, live: ServerDefinition): Promise<void> {
    const definition = await this.keep(live);
    await this.#change((approvals) => {
      const drift = { at: systemClock.now(), definition };
      const marked = approvals.map((one) =>
        isFor(one, server, launch) && one.number === number && one.drift === null ? { ...one, drift } : one,
      );
      return { approvals: marked, result: undefined };
    });
  }

  /** Rejects when the definition is not there or is not what its digest says. */
  async definition(digest: Digest): Promise<ServerDefinition> {
    const file = this.#definitionFile(digest);
    const parsed = parseStrictJson(await readFile(file), DEFINITION_LIMITS);
    const definition = parsed.ok ? parseDefinition(parsed.value) : undefined;
    if (definition === undefined || definitionDigest(sha256, definition) !== digest)
      throw new Error(`${file} is not the definition that was approved`);
    return definition;
  }

  /** Changes whenever the document is written. */
  async stamp(): Promise<string> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(this.#file, { bigint: true });
      return [ino, size, mtimeNs, ctimeNs].join();
    } catch {
      return '';
    }
  }

  /** Resolves with its digest once the definition is durable. */
  async keep(definition: ServerDefinition): Promise<Digest> {
    const digest = definitionDigest(sha256, definition);
    const file = this.#definitionFile(digest);
    const there = await this.definition(digest).catch(() => undefined);
    if (there !== undefined) return digest;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const temporary = `${file}.${randomBytes(8).toString('hex')}.tmp`;
    const { launch, instructions, tools, prompts, resourceTemplates } = definition;
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(canonicalJson({ launch, instructions, tools, prompts, resourceTemplates }));
      await handle.sync();
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
    // A crash behind this line leaves a definition that nobody approved: it is only a file.
    await rename(temporary, file);
    await syncFolder(this.#folder);
    return digest;
  }

  get #folder(): string {
    return join(this.#state, 'definitions');
  }

  #definitionFile(digest: Digest): string {
    return join(this.#folder, `${digest.slice('sha256:'.length)}.json`);
  }

  async #open(revisionMin = 0): Promise<StateDocument<Approval[]>> {
    const key = this.#key;
    // Before the document: what is written meanwhile makes that only newer.
    const head = await this.#openHead();
    return openStateDocument<Approval[]>({
      path: this.#file,
      kind: 'approvals',
      initial: [],
      parse: (value: Json) => SCHEMA.safeParse(value).data as Approval[] | undefined,
      mac: (bytes) => hmacSha256(key, bytes),
      revisionMin: Math.max(revisionMin, head.value),
    });
  }

  /** The newest revision that anybody knows of. With the keys, and not beside the document: a copy of that folder does not bring both back. */
  #openHead(): Promise<StateDocument<number>> {
    const key = this.#key;
    return openStateDocument<number>({
      path: join(this.#state, 'keys', 'approvals-head.json'),
      kind: 'approvals-head',
      initial: 0,
      parse: (value: Json) => HEAD.safeParse(value).data,
      mac: (bytes) => hmacSha256(key, bytes),
    });
  }

  /** While the lock is ours. */
  async #raiseHead(revision: number): Promise<void> {
    const head = await this.#openHead();
    if (revision > head.value) await head.replace(revision);
  }

  #change<Result>(
    work: (approvals: readonly Approval[], number: number) => { approvals: readonly Approval[]; result: Result },
  ): Promise<Result> {
    return lockedDuring(this.#file, async () => {
      const document = await this.#open();
      const { approvals, result } = work(document.value, document.revision + 1);
      await document.replace([...approvals]);
      // A crash before this line leaves a head that is one behind: whoever reads next raises it.
      await this.#raiseHead(document.revision);
      return result;
    });
  }
}

/** The approval of a server that is reached this way. */
export function approvalFor(approvals: readonly Approval[], server: string, launch: JsonObject): Approval | undefined {
  const digest = launchDigest(sha256, launch);
  return approvals.find((one) => isFor(one, server, digest));
}

function isFor(approval: Approval, server: string, launch: Digest): boolean {
  return approval.server === server && approval.launch === launch;
}
