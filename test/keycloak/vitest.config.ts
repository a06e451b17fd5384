import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { tally } from '../support/tally.ts';

/**
 * The local stack with a real Keycloak: `npm run test:keycloak`. Apart from the other tests, because Keycloak is a download of 170 MB from
 * Maven Central.
 */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    reporters: ['default', tally()],
    silent: 'passed-only',
    include: ['test/keycloak/**/*.test.ts'],
    // Only end what hangs: the machine may be busy.
    testTimeout: 300_000,
    hookTimeout: 600_000,
    teardownTimeout: 60_000,
    // Each test goes on where the one before it ended.
    bail: 1,
  },
});
