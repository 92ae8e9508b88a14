import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../../control-plane/policy/parse-manifest.ts';
import { exposedName, resolveName } from '../../../proxy/tool-names.ts';

const manifest = (server: string): string =>
  `apiVersion: portcullis/v1\nservers: { ${JSON.stringify(server)}: { stdio: { command: node } } }\n`;
const allowed = (server: string): boolean => parseManifest(manifest(server), 'm.yaml').ok;

describe('qualified names of tools', () => {
  it.each(['a__b', 'a_', 'a b', '', 'a/b', `${'x'.repeat(65)}`])(
    'refuses the server name %j, which could be confused',
    (name) => {
      expect(allowed(name)).toBe(false);
    },
  );

  it('never mean two tools: whatever the tool is called, the name leads back to its server', () => {
    const server = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/).filter(allowed);
    fc.assert(
      fc.property(server, fc.stringMatching(/^[A-Za-z0-9_.-]{1,40}$/), (name, tool) => {
        const all = { kind: 'all' } as const;
        expect(resolveName(all, exposedName(all, name, tool))).toEqual({ server: name, tool });
      }),
    );
  });

  it('resolves nothing without a separator in the view of all servers', () => {
    expect(resolveName({ kind: 'all' }, 'echo')).toBeUndefined();
    expect(resolveName({ kind: 'all' }, '__echo')).toBeUndefined();
  });
});
