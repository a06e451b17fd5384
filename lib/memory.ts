import { eventFunctionOf } from './event-functions.ts';

/*
 * Memory of functions, in megabytes. It determines the processor share: 1,769 MB correspond to one processor. INIT runs at full speed with
 * any setting.
 */

export const DEFAULT_MB = 512;

/** Memory of HTTP endpoints and WebSocket actions that differs from the default, by the name of the entry. Determined by `npm run bench:memory`. */
const MEMORY: Readonly<Record<string, number>> = {
  'change-room': 256,
  'end-room': 256,
  'get-room': 256,
  'list-rooms': 1_024,
  message: 1_024,
};

/** Returns the memory of a function, in megabytes. */
export const memoryOf = (name: string): number => eventFunctionOf(name)?.memory ?? MEMORY[name] ?? DEFAULT_MB;
