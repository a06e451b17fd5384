import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { tally } from '../support/tally.ts';

/** `npm run test:upgrade`: tests an upgrade from the last release and the rollback in an emulated AWS. Needs Python and the full Git history. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    reporters: ['default', tally()],
    silent: 'passed-only',
    include: ['test/upgrade/**/*.test.ts'],
    globalSetup: ['test/deploy/global-setup.ts'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 60_000,
  },
});
