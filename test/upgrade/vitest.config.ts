import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { tally } from '../support/tally.ts';

const PATIENT = { testTimeout: 600_000, hookTimeout: 600_000, teardownTimeout: 60_000 };

/** What the last release and this code owe each other: `npm run test:upgrade`. Needs the whole history. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    reporters: ['default', tally()],
    silent: 'passed-only',
    // One after the other: both have many clients with time limits.
    maxWorkers: 1,
    projects: [
      {
        // The SDK of the last release runs its own tests against the present service.
        test: { name: 'clients', include: ['test/upgrade/last-release-client.test.ts'], ...PATIENT },
      },
      {
        // An upgrade from the last release, and back, on an emulated AWS. Needs what test/deploy needs.
        test: {
          name: 'upgrade',
          include: ['test/upgrade/upgrade.test.ts'],
          globalSetup: ['test/deploy/global-setup.ts'],
          ...PATIENT,
        },
      },
    ],
  },
});
