import { synthesize } from './app.ts';

/** The CDK app of the local stack, which `npm start` synthesizes: the environment `local` is not for deployment. */
synthesize(['local']);
