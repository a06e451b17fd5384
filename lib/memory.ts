/*
 * Megabytes of functions. A share of a processor comes with memory: 1,769 MB are one. INIT runs at full speed with any setting.
 */

const DEFAULT_MB = 512;
/** Posting to many connections is TLS and JSON, and so takes a processor. */
const POSTING_MB = 1_024;

/** By the name of the function's entry: what `npm run bench:memory` chose, where it is not the default. */
const MEMORY: Readonly<Record<string, number>> = {
  'deliver-messages': POSTING_MB,
  'room-changes': POSTING_MB,
  'fan-out': POSTING_MB,
  announce: POSTING_MB,
};

/** Returns the memory of a function, in megabytes. */
export const memoryOf = (name: string): number => MEMORY[name] ?? DEFAULT_MB;
