// The servers as they were pinned: what clients are shown, what the policy knows and what a permit binds. It is what a person approved; what a running
// server says of itself is compared with it elsewhere, and never gets here.

import { definitionDigest, type ServerDefinition } from '../control-plane/integrity/definition.ts';
import { TOOL_METHOD } from '../domain/action.ts';
import { encodeBase64url } from '../domain/base64url.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Digest, Sha256 } from '../domain/digest.ts';
import type { JsonObject } from '../domain/json.ts';
import { NAME_CHARACTERS_MAX } from './limits.ts';

const UTF8 = new TextEncoder();

export interface PinnedTool {
  readonly server: string;
  readonly name: string;
  /** The whole definition as it was approved. Hostile text all the same. */
  readonly definition: JsonObject;
  readonly digest: Digest;
}

export interface PinnedServer {
  readonly name: string;
  readonly tools: ReadonlyMap<string, PinnedTool>;
  readonly prompts: readonly JsonObject[];
  readonly resourceTemplates: readonly JsonObject[];
  /** Digest of how the server is reached and of everything that it offers. */
  readonly attestation: Digest;
  readonly instructions: string | undefined;
}

/** How what a server says that it is compares with what was pinned. */
export type Likeness = 'same' | 'different';

/** SHA-256 of the canonical form: the order of keys in a definition is no difference. */
export function digestOf(sha256: Sha256, value: JsonObject): Digest {
  return `sha256:${encodeBase64url(sha256(UTF8.encode(canonicalJson(value))))}`;
}

export class Catalogue {
  readonly #sha256: Sha256;
  readonly #servers = new Map<string, PinnedServer>();
  /** Digests of governed methods that are no tools. The list of them is closed, and so is this. */
  readonly #methods = new Map<string, Digest>();

  readonly #order: readonly string[];

  /** `order`: servers in the order in which they are listed; one that is not named comes behind, as it was first seen. */
  constructor(sha256: Sha256, order: readonly string[] = []) {
    this.#sha256 = sha256;
    this.#order = order;
  }

  /** Offers this of a server from now on, in the place of what was offered before. What a server says of itself is never offered. */
  pin(name: string, definition: ServerDefinition): PinnedServer {
    const { instructions, prompts, resourceTemplates } = definition;
    const pinned: PinnedServer = {
      name,
      tools: this.#toolsOf(name, definition.tools),
      prompts,
      resourceTemplates,
      attestation: definitionDigest(this.#sha256, definition),
      instructions: instructions ?? undefined,
    };
    this.#servers.set(name, pinned);
    return pinned;
  }

  /** Offers nothing of a server any more. */
  withdraw(name: string): void {
    this.#servers.delete(name);
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
    return this.tool(call.server, call.tool)?.digest;
  }

  #toolsOf(server: string, definitions: ServerDefinition['tools']): ReadonlyMap<string, PinnedTool> {
    const tools = new Map<string, PinnedTool>();
    for (const definition of definitions) {
      const { name } = definition;
      // Neither offered nor called: the record of a call could not hold its name.
      if (typeof name !== 'string' || name.length > NAME_CHARACTERS_MAX) continue;
      tools.set(name, { server, name, definition, digest: digestOf(this.#sha256, definition) });
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
}
