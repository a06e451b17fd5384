import { defineConfig } from 'vitest/config';
import { tally } from './test/support/tally.ts';

/** Time-outs only end what hangs: no test is about speed, and the machine may be busy. */
const PATIENT = { testTimeout: 120_000, hookTimeout: 120_000 };

/** One project a kind of test: run one with `npm test -- --project unit`, one file with `npm test -- <part of its name>`. */
export default defineConfig({
  test: {
    reporters: ['default', tally()],
    // One at a time in CI: a DynamoDB Local that shares two cores answers later than the store's own time limits allow.
    maxWorkers: process.env.CI ? 1 : 2,
    // For the same reason: bursts of hundreds of requests can run into those limits on a busy machine.
    retry: 2,
    silent: 'passed-only',
    projects: [
      {
        // Whatever needs nothing but the code.
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], ...PATIENT },
      },
      {
        // Handlers, invoked with real events against DynamoDB Local and S3.
        test: {
          name: 'functions',
          include: ['test/functions/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          setupFiles: ['test/support/setup.ts'],
          ...PATIENT,
        },
      },
      {
        // The synthesized templates and the bundles.
        test: { name: 'infrastructure', include: ['test/infrastructure/**/*.test.ts'], ...PATIENT },
      },
      {
        // The client SDK, over real HTTP and real WebSockets.
        test: { name: 'client', include: ['test/client/**/*.test.ts'], ...PATIENT },
      },
      {
        // `npm start` and what a user does with it.
        test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 300_000 },
      },
    ],
  },
});
