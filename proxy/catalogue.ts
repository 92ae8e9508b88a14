// The tools as they were pinned: what clients are shown, what the policy knows and what a permit binds. Pinned on the first sight of a server
// in this run of the gate; a definition that differs later is never served and never called.

import { TOOL_METHOD } from '../domain/action.ts';
import { encodeBase64url } from '../domain/base64url.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Digest, Sha256 } from '../domain/digest.ts';
import type { JsonObject } from '../domain/json.ts';
import { NAME_CHARACTERS_MAX } from './limits.ts';
import type { ServerDescription } from './tool-server.ts';

const UTF8 = new TextEncoder();

export interface PinnedTool {
  readonly server: string;
  readonly name: string;
  /** The whole definition as the server gave it. Hostile text. */
  readonly definition: JsonObject;
  readonly digest: Digest;
}

export interface PinnedServer {
  readonly name: string;
  readonly tools: ReadonlyMap<string, PinnedTool>;
  /** Digest of how the server is reached and of all its definitions. */
  readonly attestation: Digest;
  readonly instructions: string | undefined;
}

/** How what a server says that it offers compares with what was pinned. `more`: all of that is there as it was, and something else too. */
export type Likeness = 'same' | 'more' | 'different';

/** SHA-256 of the canonical form: the order of keys in a definition is no difference. */
export function digestOf(sha256: Sha256, value: JsonObject): Digest {
  return `sha256:${encodeBase64url(sha256(UTF8.encode(canonicalJson(value))))}`;
}

export class Catalogue {
  readonly #sha256: Sha256;
  readonly #servers = new Map<string, PinnedServer>();
  /** Tools whose live definition is not the pinned one, as `server/tool`. */
  readonly #drifted = new Set<string>();
  /** Digests of governed methods that are no tools. The list of them is closed, and so is this. */
  readonly #methods = new Map<string, Digest>();

  readonly #order: readonly string[];

  /** `order`: servers in the order in which they are listed; one that is not named comes behind, as it was first seen. */
  constructor(sha256: Sha256, order: readonly string[] = []) {
    this.#sha256 = sha256;
    this.#order = order;
  }

  /** Pins what a server offers. `launch` is how it is reached, without secrets. A server that is pinned already is compared instead. */
  observe(description: ServerDescription, launch: JsonObject): PinnedServer {
    const tools = this.#toolsOf(description);
    const known = this.#servers.get(description.name);
    if (known !== undefined) {
      this.#compare(known, tools);
      return known;
    }
    const digests = Object.fromEntries([...tools].map(([name, tool]) => [name, tool.digest]));
    const pinned: PinnedServer = {
      name: description.name,
      tools,
      attestation: digestOf(this.#sha256, { launch, tools: digests }),
      instructions: description.instructions,
    };
    this.#servers.set(description.name, pinned);
    return pinned;
  }

  /** Compares another server of that name, and remembers nothing. One of which nothing is pinned is like none. */
  likeness(description: ServerDescription): Likeness {
    const pinned = this.#servers.get(description.name)?.tools;
    const tools = this.#toolsOf(description);
    if (pinned === undefined || [...pinned.values()].some(({ name, digest }) => tools.get(name)?.digest !== digest))
      return 'different';
    return tools.size === pinned.size ? 'same' : 'more';
  }

  servers(): readonly PinnedServer[] {
    const place = ({ name }: PinnedServer): number => {
      const index = this.#order.indexOf(name);
      return index < 0 ? this.#order.length : index;
    };
    return [...this.#servers.values()].sort((a, b) => place(a) - place(b));
  }

  server(name: string): PinnedServer | undefined {
    return this.#servers.get(name);
  }

  tool(server: string, name: string): PinnedTool | undefined {
    return this.#servers.get(server)?.tools.get(name);
  }

  /** Digest of what a call does: the pinned definition of its tool, or its method where that is no tool. Undefined: not known, or changed. */
  definition(call: { readonly method: string; readonly server: string; readonly tool: string }): Digest | undefined {
    if (call.method !== TOOL_METHOD) return this.#methodDigest(call.method);
    return this.drifted(call.server, call.tool) ? undefined : this.tool(call.server, call.tool)?.digest;
  }

  /** Whether the live definition is still the pinned one. */
  drifted(server: string, name: string): boolean {
    return this.#drifted.has(`${server}/${name}`);
  }

  #toolsOf(description: ServerDescription): ReadonlyMap<string, PinnedTool> {
    const tools = new Map<string, PinnedTool>();
    for (const { name, raw } of description.tools) {
      // Neither offered nor called: the record of a call could not hold its name.
      if (name.length > NAME_CHARACTERS_MAX) continue;
      tools.set(name, { server: description.name, name, definition: raw, digest: digestOf(this.#sha256, raw) });
    }
    return tools;
  }

  #methodDigest(method: string): Digest {
    const known = this.#methods.get(method);
    if (known !== undefined) return known;
    const digest = digestOf(this.#sha256, { method });
    this.#methods.set(method, digest);
    return digest;
  }

  /** A definition that went back to what was pinned is no drift any more: nothing else was ever served. */
  #compare(known: PinnedServer, live: ReadonlyMap<string, PinnedTool>): void {
    for (const [name, pinned] of known.tools) {
      const key = `${known.name}/${name}`;
      if (live.get(name)?.digest === pinned.digest) this.#drifted.delete(key);
      else this.#drifted.add(key);
    }
  }
}
