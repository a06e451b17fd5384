import { globSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** Comma-separated parts of paths. Only test files whose path contains one of them run. If empty, all run. */
const parts = (process.env.MUTATION_TESTS ?? '').split(',').filter((part) => part !== '');

/** Test files that cannot detect a mutant: they test other code, or run the code in another process. */
const BLIND = [
  'test/unit/local/',
  'test/unit/web/',
  'test/unit/tally.',
  'test/unit/chaos-',
  'test/unit/redrive.',
  'test/unit/reschedule.',
];
/** Test files that take minutes. Others cover the same code faster. */
const BLIND_FUNCTIONS = ['/dead-letters.', '/capacity.'];
/** The last one counts the lines of a file, and Stryker adds one. */
const BLIND_CLIENT = ['/browser.', '/package.', '/react-example.'];

const testFiles = (folder: string, blind: readonly string[]): string[] =>
  globSync(`test/${folder}/**/*.test.ts`).filter(
    (file) =>
      !blind.some((part) => file.includes(part)) && (parts.length === 0 || parts.some((part) => file.includes(part))),
  );

/** Retries and generous limits, so that a slow machine neither stops the run nor counts as a detected mutant. */
const STEADY = { retry: 1, testTimeout: 120_000, hookTimeout: 120_000 };

/** The tests that run in the same process as the code. Only these can detect a mutant. */
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
      // Runs only for faults in lib. These tests synthesize the stacks when they are loaded, so each of them runs for each fault.
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
