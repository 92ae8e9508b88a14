import { defineConfig } from 'vitest/config';

// Each of the thousands of processes that tests start would read all of the machine's certificates first. What a test trusts, it says itself.
delete process.env.NODE_EXTRA_CA_CERTS;

/** What starts no process and listens nowhere: these files share their modules, which is most of the time that they would take alone. */
const CORE = ['unit', 'property', 'model', 'simulation', 'interop', 'pins'].map((kind) => `test/${kind}/**/*.test.ts`);

export default defineConfig({
  test: {
    globalSetup: ['test/support/built.ts'],
    // Both of two cores; vitest itself would leave one of them to nobody.
    maxWorkers: '75%',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'core', include: CORE, isolate: false } },
      { extends: true, test: { name: 'world', include: ['test/**/*.test.ts'], exclude: [...CORE, 'test/package/**'] } },
    ],
  },
});
