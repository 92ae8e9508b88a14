// How a server that is a process introduced itself when it was last found to be what was approved: which revision it speaks and what it is able to do. With the
// definition that was approved that is all that clients are told before it runs, so that one of which every conversation has its own need not be started
// once for nobody. Each process is compared whole before it is used, whatever is remembered.

import { join } from 'node:path';
import { z } from 'zod';
import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { SealedCache } from '../adapters/storage/sealed-cache.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { ServerDescription } from '../proxy/tool-server.ts';
import type { Approval, Approvals } from './approvals.ts';
import type { LiveDefinition } from './live-definition.ts';
import type { ServerLaunch } from './servers.ts';

/** More than servers of an installation; beyond it all are asked once more. */
const REMEMBERED_MAX = 200;

const OBJECT = z.record(z.string(), z.json());
const SCHEMA = z.record(
  z.string(),
  z.strictObject({ protocolVersion: z.string(), serverInfo: OBJECT, capabilities: OBJECT }),
);

type Introduction = Pick<ServerDescription, 'protocolVersion' | 'serverInfo' | 'capabilities'>;

export interface Remembered {
  readonly live: LiveDefinition;
  readonly description: ServerDescription;
}

export class RememberedDescriptions {
  readonly #cache: SealedCache;
  readonly #approvals: Pick<Approvals, 'definition'>;
  readonly #standing: (server: string) => Approval | undefined;
  #known: Map<string, Introduction> | undefined;

  /** `state`: the folder of the installation's state. `standing`: what counts of a server now. */
  constructor(
    state: string,
    secret: Uint8Array,
    approvals: Pick<Approvals, 'definition'>,
    standing: (server: string) => Approval | undefined,
  ) {
    const key = hmacSha256(secret, new TextEncoder().encode('portcullis/introductions/v1'));
    this.#cache = new SealedCache(join(state, 'introductions.json'), (bytes) => hmacSha256(key, bytes));
    this.#approvals = approvals;
    this.#standing = standing;
  }

  /** Undefined where it has to be asked. Never rejects. */
  async of(launch: ServerLaunch): Promise<Remembered | undefined> {
    const approval = this.#measured(launch);
    const introduction = approval === undefined ? undefined : this.#all().get(keyOf(approval));
    if (approval === undefined || introduction === undefined) return undefined;
    const definition = await this.#approvals.definition(approval.definition).catch(() => undefined);
    if (definition === undefined) return undefined;
    const { instructions, tools } = definition;
    const description = {
      name: launch.name,
      ...introduction,
      ...(instructions === null ? {} : { instructions }),
      tools: tools.map((raw) => ({ name: String(raw.name), raw })),
    };
    return { live: definition, description };
  }

  /** It said this just now, and is what was approved. */
  put(launch: ServerLaunch, { protocolVersion, serverInfo, capabilities }: ServerDescription): void {
    const approval = this.#measured(launch);
    if (approval === undefined) return;
    const known = this.#all();
    if (known.size >= REMEMBERED_MAX) known.clear();
    known.set(keyOf(approval), { protocolVersion, serverInfo, capabilities });
    this.#cache.write(Object.fromEntries(known) as unknown as JsonObject);
  }

  /** Of what runs somewhere else nobody knows whether it is still the same. */
  #measured({ name, line }: ServerLaunch): Approval | undefined {
    const approval = line === undefined ? undefined : this.#standing(name);
    return approval === undefined || approval.environment === null || approval.drift !== null ? undefined : approval;
  }

  #all(): Map<string, Introduction> {
    this.#known ??= this.#read();
    return this.#known;
  }

  #read(): Map<string, Introduction> {
    const read = SCHEMA.safeParse(this.#cache.read());
    return new Map(read.success ? (Object.entries(read.data) as [string, Introduction & Json][]) : []);
  }
}

/** An approval that was given anew is another one. */
function keyOf({ server, launch, definition, number }: Approval): string {
  return [server, launch, definition, number].join(' ');
}
