/** For how long nobody may be without a connection during an upgrade or a rollback, in milliseconds. docs/operate/upgrade.md states it. */
export const MAX_OUTAGE_MS = 10_000;
/** How long a call of the SDK may take meanwhile, its retries included, in milliseconds. docs/operate/upgrade.md states it. */
export const MAX_CALL_MS = 30_000;
