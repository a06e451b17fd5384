import { timeLimits } from '../aws/client-settings.ts';

/** For the clients of services that answer within tens of milliseconds. */
export const CLIENT_OPTIONS = timeLimits(3_000);
