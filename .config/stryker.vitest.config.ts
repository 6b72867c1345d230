import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))

// For mutation testing: the tests of core on its sources as they stand here, mutated, where all other runs test what is compiled. Left out are
// the tests that compare with Python and the long search for a forged proof: they cost minutes for each mutant.
export default defineConfig({
  root,
  resolve: { alias: [{ find: /^@kvchain\/core\/(.+)$/, replacement: `${root}packages/core/src/$1.ts` }] },
  test: {
    include: ['packages/core/test/**/*.test.ts'],
    exclude: ['packages/core/test/proofPython.test.ts', 'packages/core/test/proof.fuzz.test.ts'],
    env: { KVCHAIN_FUZZ_FACTOR: '0.1' },
    setupFiles: ['.config/stryker.setup.ts'],
    server: { deps: { inline: [/\/packages\/core\//] } },
  },
})
