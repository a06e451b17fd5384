/*
 * Megabytes of functions. A share of a processor comes with memory: 1,769 MB are one. INIT runs at full speed with any setting.
 */

export const DEFAULT_MB = 512;
/** Posting to many connections is TLS and JSON: it takes a whole processor. */
const POSTING_MB = 1_769;

/** By the name of the function's entry: what `npm run bench:memory` chose, where it is not the default. */
const MEMORY: Readonly<Record<string, number>> = {
  'change-room': 256,
  'end-room': 256,
  'get-room': 256,
  connect: 256,
  disconnect: 256,
  'list-rooms': 1_024,
  authorizer: 1_024,
  message: 1_024,
  presence: 1_024,
  'deliver-messages': POSTING_MB,
  'room-changes': POSTING_MB,
  'fan-out': POSTING_MB,
  lane: POSTING_MB,
  announce: POSTING_MB,
};

/** Returns the memory of a function, in megabytes. */
export const memoryOf = (name: string): number => MEMORY[name] ?? DEFAULT_MB;
