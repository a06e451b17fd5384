/** Maximum time that a client is disconnected during an upgrade or a rollback, in milliseconds. docs/operate/upgrade.md states it. */
export const MAX_OUTAGE_MS = 10_000;
