import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { tally } from '../support/tally.ts';

/**
 * `npm run test:examples`: runs the programs in examples/ with newly generated clients against the local stack. Separate from the other
 * tests, because the generators come from other package indexes.
 */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    reporters: ['default', tally()],
    silent: 'passed-only',
    include: ['test/examples/**/*.test.ts'],
    // Compiling a generator can take minutes on a busy machine.
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});
