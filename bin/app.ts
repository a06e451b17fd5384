import { App } from 'aws-cdk-lib';
import { chosenEnvironment, type EnvironmentName } from '../lib/environments.ts';
import { addStacks } from '../lib/rooms-app.ts';
import { UsageError } from '../tools/cli/usage-error.ts';

/**
 * Synthesizes the selected environment, which must be one of `names`. Prints a usage error as one sentence and sets exit code
 * 1.
 */
export function synthesize(names: readonly EnvironmentName[]): void {
  try {
    const app = new App();
    addStacks(app, chosenEnvironment(app.node.getAllContext(), names));
    app.synth();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
