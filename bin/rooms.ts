import { deployableNames } from '../lib/environments.ts';
import { synthesize } from './app.ts';

/** The CDK app: `npx cdk synth -c env=dev`. */
synthesize(deployableNames);
