import type { Reporter, TestModule } from 'vitest/node';

/** How many files are listed. */
const FILES = 10;

/** The slowest test files first, each with its seconds, including imports and hooks, and its path. */
export function slowest(modules: readonly Pick<TestModule, 'diagnostic' | 'relativeModuleId'>[]): string[] {
  return modules
    .map((module) => {
      const { environmentSetupDuration, prepareDuration, collectDuration, setupDuration, duration } =
        module.diagnostic();
      const ms = environmentSetupDuration + prepareDuration + collectDuration + setupDuration + duration;
      return { ms, path: module.relativeModuleId };
    })
    .sort((a, b) => b.ms - a.ms)
    .slice(0, FILES)
    .map(({ ms, path }) => `${(ms / 1_000).toFixed(1).padStart(6)} s  ${path}`);
}

/** Prints the slowest test files after a run of several files. */
export const slowestFiles = (): Reporter => ({
  onTestRunEnd(modules) {
    if (modules.length > 1) console.log(`Slowest files:\n${slowest(modules).join('\n')}\n`);
  },
});
