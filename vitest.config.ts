import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { LongFirst } from './test/support/long-first.ts';
import { slowestFiles } from './test/support/slowest.ts';
import { tally } from './test/support/tally.ts';

/** Time-outs only end what hangs: no test is about speed, and the machine may be busy. */
const PATIENT = { testTimeout: 120_000, hookTimeout: 120_000 };

/** Tests that start servers, local stacks or browsers. They run after the others. */
const WITH_PROCESSES = { sequence: { groupOrder: 1 } };

// Workers, and all processes that tests start, load compiled code from here. Importing the AWS SDK then takes half the CPU.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('.build/compile-cache', import.meta.url));

/**
 * One project a kind of test: run one with `npm test -- --project unit`, one file with `npm test -- <part of its name>`, and what your
 * uncommitted changes concern with `npm test -- --changed`.
 */
export default defineConfig({
  test: {
    reporters: ['default', slowestFiles(), tally()],
    // One more than the smallest machine has cores, because tests wait. With more, requests take longer than production's time-outs allow.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    silent: 'passed-only',
    projects: [
      {
        // Whatever needs nothing but the code. Files share their modules, and leave them as they found them.
        test: { name: 'unit', isolate: false, include: ['test/unit/**/*.test.ts'], ...PATIENT },
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
        // The synthesized templates and the bundles. Files share the CDK and what was synthesized.
        test: { name: 'infrastructure', isolate: false, include: ['test/infrastructure/**/*.test.ts'], ...PATIENT },
      },
      {
        // The client SDK, over real HTTP and real WebSockets.
        test: { name: 'client', include: ['test/client/**/*.test.ts'], ...WITH_PROCESSES, ...PATIENT },
      },
      {
        // The web client, in Chromium; skipped where there is none.
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          ...WITH_PROCESSES,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // A page that loads on a busy machine takes longer than the second that polls wait by default.
          expect: { poll: { timeout: 60_000 } },
        },
      },
      {
        // `npm start` and what a user does with it.
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          ...WITH_PROCESSES,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
