import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/built.ts'],
    // Both of two cores; vitest itself would leave one of them to nobody.
    maxWorkers: '75%',
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
