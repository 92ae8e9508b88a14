import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const path = (file: string): string => fileURLToPath(new URL(`../support/${file}`, import.meta.url));

describe('the engine in a process whose optimised code is discarded during a call', () => {
  // Without adapters/policy-engine/no-inlined-wasm.ts V8 of Node 20 and 22 aborts the process here.
  it('does not take the process with it', async () => {
    const args = ['--import', path('typescript.mjs'), path('deoptimised-engine.ts')];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe('alive\n');
  });
});
