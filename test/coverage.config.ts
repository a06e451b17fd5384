import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';
import all from '../vitest.config.ts';

// Coverage of code from the compile cache is less precise: https://nodejs.org/api/module.html#module-compile-cache
delete process.env.NODE_COMPILE_CACHE;

/**
 * `npm run coverage`: which lines of the code the unit tests run, per folder. The other tests are not counted, so this is a
 * lower bound. It is separate from `npm test`, because instrumented code is slower.
 */
export default mergeConfig(
  all,
  defineConfig({
    root: fileURLToPath(new URL('..', import.meta.url)),
    test: {
      coverage: {
        enabled: true,
        provider: 'v8',
        reporter: ['text', 'json-summary'],
        reportsDirectory: 'coverage',
        // Reports coverage even if a test fails, for example because the machine is busy.
        reportOnFailure: true,
        include: ['core/**/*.ts', 'functions/**/*.ts', 'client/src/**/*.ts', 'tools/{generate,compatibility}/**/*.ts'],
        // Floors for the folders that unit tests are meant to cover. The others need real services.
        thresholds: {
          'core/rules/**': { lines: 88 },
          'core/contract/**': { lines: 85 },
          'core/http/**': { lines: 85 },
          'tools/**': { lines: 85 },
        },
      },
    },
  }),
);
