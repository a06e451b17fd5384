import { App } from 'aws-cdk-lib';
import { chosenEnvironment } from '../lib/environments.ts';
import { addStacks } from '../lib/rooms-app.ts';
import { UsageError } from '../lib/usage-error.ts';

/** The CDK app: `npx cdk synth -c env=dev`. */
try {
  const app = new App();
  addStacks(
    app,
    chosenEnvironment((key) => app.node.tryGetContext(key)),
  );
  app.synth();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
