import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { tally } from '../support/tally.ts';

/**
 * `npm run test:keycloak`: tests the local stack with a real Keycloak. Separate from the other tests, because it downloads 170 MB from
 * Maven Central.
 */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    reporters: ['default', tally()],
    silent: 'passed-only',
    include: ['test/keycloak/**/*.test.ts'],
    // Generous limits, because the machine can be busy.
    testTimeout: 300_000,
    hookTimeout: 600_000,
    teardownTimeout: 60_000,
    // Each test depends on the previous one.
    bail: 1,
  },
});
