import { eventFunctionOf } from './event-functions.ts';

/*
 * Memory of functions, in megabytes. The share of a processor grows with it: 1,769 MB are one. INIT runs at full speed with any
 * setting.
 */

export const DEFAULT_MB = 512;

/** HTTP endpoints and WebSocket actions for which `npm run bench:memory` did not choose the default, by the name of the entry. */
const MEMORY: Readonly<Record<string, number>> = {
  'change-room': 256,
  'end-room': 256,
  'get-room': 256,
  'list-rooms': 1_024,
  message: 1_024,
};

/** Returns the memory of a function, in megabytes. */
export const memoryOf = (name: string): number => eventFunctionOf(name)?.memory ?? MEMORY[name] ?? DEFAULT_MB;
