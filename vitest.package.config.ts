import { defineConfig } from 'vitest/config';

/** What is packed, bundled and installed: once for each change, and not on each version of Node, because npm takes most of the time. */
export default defineConfig({
  test: {
    globalSetup: ['test/support/built.ts'],
    include: ['test/package/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // They would install from the same cache at once.
    fileParallelism: false,
  },
});
