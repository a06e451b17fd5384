import { globSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** Parts of paths, separated by commas: only test files with one of them run. Empty: all run. */
const parts = (process.env.MUTATION_TESTS ?? '').split(',').filter((part) => part !== '');

/** These test other code, or run the code in other processes, where no mutant is. */
const BLIND = [
  'test/unit/local/',
  'test/unit/web/',
  'test/unit/tally.',
  'test/unit/chaos-',
  'test/unit/redrive.',
  'test/unit/reschedule.',
];
/** Minutes of queues and of load: other files see the same code sooner. */
const BLIND_FUNCTIONS = ['/dead-letters.', '/capacity.'];
const BLIND_CLIENT = ['/browser.', '/package.'];

const testFiles = (folder: string, blind: readonly string[]): string[] =>
  globSync(`test/${folder}/**/*.test.ts`).filter(
    (file) =>
      !blind.some((part) => file.includes(part)) && (parts.length === 0 || parts.some((part) => file.includes(part))),
  );

/** A test that is red once on a busy machine must neither stop the run nor pass for one that has noticed a mutant. */
const STEADY = { retry: 1, testTimeout: 120_000, hookTimeout: 120_000 };

/** The tests that run in the process of the code they test: only they can see a mutant. */
export default defineConfig({
  test: {
    silent: true,
    projects: [
      { test: { name: 'unit', include: testFiles('unit', BLIND), ...STEADY } },
      {
        test: {
          name: 'functions',
          include: testFiles('functions', BLIND_FUNCTIONS),
          globalSetup: ['test/support/global-setup.ts'],
          setupFiles: ['test/support/setup.ts'],
          ...STEADY,
        },
      },
      // Only for faults in lib: these tests synthesize the stacks as they are loaded, so every one of them runs for each fault.
      ...(process.env.MUTATION_LIB === 'true'
        ? [
            {
              test: {
                name: 'infrastructure',
                isolate: false,
                include: testFiles('infrastructure', []),
                ...STEADY,
              },
            },
          ]
        : []),
      { test: { name: 'client', include: testFiles('client', BLIND_CLIENT), ...STEADY } },
    ],
  },
});
