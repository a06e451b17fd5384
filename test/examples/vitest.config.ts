import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { tally } from '../support/tally.ts';

/**
 * The programs in examples/ with freshly generated clients, against the local stack: `npm run test:examples`. Separate from the other tests,
 * because the generators come from other package indexes.
 */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    reporters: ['default', tally()],
    silent: 'passed-only',
    include: ['test/examples/**/*.test.ts'],
    // Compiling a generator on a busy machine takes minutes.
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});
