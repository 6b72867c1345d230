import { defineConfig } from 'vitest/config'

// Tests import the compiled packages (dist), so that a test and a daemon load the same files, worker threads included.
export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'bench/test/**/*.test.ts', '.ci/**/*.test.ts'],
    reporters: ['default', ['json', { outputFile: 'node_modules/.cache/kvchain/test-results.json' }]],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // One more than the two cores that CI has: many tests wait for daemons, and use none.
    maxWorkers: 3,
  },
})
