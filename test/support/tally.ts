import { writeSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Counts tests. A file that fails outside of its tests, for example in a hook, counts as one failed test. */
export function count(modules: readonly TestModule[], unhandledErrors: number): Counts {
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    let failed = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') counts.passed++;
      else if (state === 'skipped') counts.skipped++;
      else failed++;
    }
    counts.failed += failed === 0 && !module.ok() ? 1 : failed;
  }
  return counts;
}

/** Prints `N passed, N failed, N skipped` as the last line, after the output of all other reporters. */
export const tally = (): Reporter => ({
  onTestRunEnd(modules, unhandledErrors) {
    const { passed, failed, skipped } = count(modules, unhandledErrors.length);
    process.once('exit', () => writeSync(1, `${passed} passed, ${failed} failed, ${skipped} skipped\n`));
  },
});
