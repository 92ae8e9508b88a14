// A small policy with real shapes, a request for it, and a key: what tests of the deciding side start from.

import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthorizationRequest } from '../../control-plane/authorization.ts';
import type { PolicySource, ServerTools, ToolDefinition } from '../../control-plane/policy/source.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Digest } from '../../domain/digest.ts';
import { ulid } from '../../domain/ids.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { rootLineage } from '../../domain/lineage.ts';

export function tool(name: string, properties: JsonObject, required: readonly string[] = []): ToolDefinition {
  return { name, inputSchema: { type: 'object', properties, required } };
}

const STRING = { type: 'string' };

export const FILE_TOOLS: ServerTools = {
  server: 'fs',
  tools: [
    tool('read_text_file', { path: STRING, head: { type: 'number' } }, ['path']),
    tool('read_multiple_files', { paths: { type: 'array', items: STRING } }, ['paths']),
    tool('write_file', { path: STRING, content: STRING }, ['path', 'content']),
    tool('move_file', { source: STRING, destination: STRING }, ['source', 'destination']),
    tool('list_allowed_directories', {}),
  ],
};

export const MANIFEST = `apiVersion: portcullis/v1
namespace: Acme
agents:
  coder: { roles: [dev], auth: local }
  guest: { auth: { apiKey: "sha256:${'A'.repeat(43)}" } }
servers:
  fs: { stdio: { command: node } }
facts:
  fs:
    "*":
      paths:
        kind: path
        from: [/path, /paths/*, /source, /destination]
        roots: { workspace: /srv/ws }
        classes: { secrets: ["**/.ssh/**", "**/*.pem", "**/.env*"] }
    write_file:
      content: { kind: bytes, from: [/content] }
groups:
  fs.read: [fs/read_text_file, fs/read_multiple_files]
`;

export const RULES = `@id("fs-read")
@reason("developers read inside the workspace")
permit (principal in Acme::Role::"dev", action in Acme::Action::"fs.read", resource == Acme::Server::"fs")
when { context.facts has paths && context.facts.paths.within.contains("workspace") };

@id("fs-write")
@reason("developers write small files inside the workspace")
@obligation("timeoutMs=5000")
permit (principal in Acme::Role::"dev", action == Acme::Action::"fs/write_file", resource == Acme::Server::"fs")
when { context.facts.paths.within.contains("workspace") && context.facts.content.bytes <= 64 };

@id("fs-no-secrets")
@reason("key material is never touched")
forbid (principal, action, resource == Acme::Server::"fs")
when { context.facts has paths && context.facts.paths.touches.contains("secrets") };
`;

export function policySource(
  overrides: { manifest?: string; rules?: string; tools?: readonly ServerTools[] } = {},
): PolicySource {
  return {
    manifest: { file: 'portcullis.yaml', text: overrides.manifest ?? MANIFEST },
    policies: [{ file: 'policy/fs.cedar', text: overrides.rules ?? RULES }],
    tools: overrides.tools ?? [FILE_TOOLS],
  };
}

const DIGEST: Digest = `sha256:${'A'.repeat(43)}`;

/** A request of the agent `coder` with the role `dev`, a root call under epoch 1. */
export function request(
  toolName: string,
  args: Json,
  overrides: Partial<AuthorizationRequest> & { agent?: string; roles?: readonly string[] } = {},
): AuthorizationRequest {
  const { agent = 'coder', roles = ['dev'], ...rest } = overrides;
  const at = 1_800_000_000_000;
  const call = ulid(at, new Uint8Array(10));
  return {
    call,
    at,
    principal: { agent, roles, root: true, authentication: 'local', connection: DIGEST },
    method: 'tools/call',
    server: 'fs',
    tool: toolName,
    argumentsJson: canonicalJson(args),
    args: DIGEST,
    req: DIGEST,
    definition: DIGEST,
    attestation: DIGEST,
    lineage: rootLineage(call),
    governance: { state: 'normal', epoch: 1, revocation: 0, boot: call },
    limits: { timeoutMs: 30_000, outputBytes: 1_048_576 },
    ...rest,
  };
}

/** A PEM file with a fresh Ed25519 key, and a function that removes it. */
export function keyFile(): { readonly file: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  const file = join(folder, 'permit.pem');
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  return { file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
