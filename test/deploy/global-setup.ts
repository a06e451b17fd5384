import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startOidcIssuer } from '../../local/oidc/oidc-issuer.ts';
import { stackOf } from '../../tools/cli/error-text.ts';
import { killCdk, type Target } from './cdk.ts';
import { ACCOUNT, startEmulator } from './emulator.ts';
import { progress } from './progress.ts';
import { makePython, OutOfReach } from './python.ts';

/** The target of the deployment. If it is not available, `outOfReach` skips the tests and `failure` fails them. */
export type Deployment =
  | { readonly target: Target; readonly issuer: string; readonly keep: boolean }
  | { readonly outOfReach: string }
  | { readonly failure: string };

declare module 'vitest' {
  export interface ProvidedContext {
    deployment: Deployment;
  }
}

/** Set by `npm run test:deploy -- --keep`. */
const keep = process.env.ROOMS_DEPLOY_KEEP === '1';

/** Starts an emulated AWS and a token issuer. Stops both at the end, also after an error or a signal. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'rooms-deploy-'));
  const closers: (() => void)[] = [];
  // Synchronous, because it also runs on the process event 'exit'.
  const closeAll = (): void => {
    killCdk(directory);
    for (const close of closers.splice(0).reverse()) close();
    // A killed function can still have open files.
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  process.on('exit', closeAll);
  let interrupted = (): void => process.exit(130);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted());
  endWithNpm(() => interrupted());

  const deployment = await start(directory, closers).catch((error: unknown): Deployment => {
    if (error instanceof OutOfReach) return { outOfReach: error.message };
    return { failure: stackOf(error) };
  });
  if ('outOfReach' in deployment) progress(`Skipped: ${deployment.outOfReach}`);
  project.provide('deployment', deployment);

  return async () => {
    if (keep && 'target' in deployment) {
      const { endpoint, certificate } = deployment.target;
      console.error(`
It stays up until Ctrl-C. To look at it:

export AWS_ENDPOINT_URL=${endpoint} AWS_CA_BUNDLE=${certificate} NODE_EXTRA_CA_CERTS=${certificate} \\
  AWS_ACCESS_KEY_ID=123456789012 AWS_SECRET_ACCESS_KEY=any AWS_REGION=eu-central-1

Tokens: curl -d grant_type=password -d username=alice ${deployment.issuer}/token
`);
      await new Promise<void>((resolve) => {
        interrupted = resolve;
      });
    }
    process.off('exit', closeAll);
    closeAll();
  };
}

async function start(directory: string, closers: (() => void)[]): Promise<Deployment> {
  progress('Making a Python environment, with the AWS emulator in it');
  const python = await makePython(directory);
  progress('Starting the emulator');
  const home = join(directory, 'emulator');
  mkdirSync(home);
  const { endpoint, certificate, kill } = await startEmulator(python, home);
  closers.push(kill);
  const issuer = await startOidcIssuer({ port: 0, audience: 'rooms' });
  closers.push(() => void issuer.close());
  return { target: { endpoint, certificate, python, directory, account: ACCOUNT }, issuer: issuer.url, keep };
}

/** Calls `end` when the parent process ends. A shell between npm and this process can swallow signals. */
function endWithNpm(end: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, 500).unref();
}
