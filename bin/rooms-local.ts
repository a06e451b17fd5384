import { synthesize } from './app.ts';

/** The CDK app of the local stack, which `npm start` synthesizes. The environment `local` cannot be deployed. */
synthesize(['local']);
