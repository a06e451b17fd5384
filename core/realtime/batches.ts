/*
 * How the connections of a large room are split into batches, one for each invocation.
 */

/**
 * Posts that a batch is worth: 0.2 s of a processor (`npm run bench:fanout`), of which a function with 1,024 MB has a little more
 * than half. With fewer, starting and waiting for an invocation would be much of what it takes.
 */
const POSTS_PER_BATCH = 500;
/** With fewer connections, an invocation mostly waits for responses, however many frames each connection gets. */
const MIN_BATCH_SIZE = 25;

/** Returns how many connections are in a batch where each is sent so many frames. */
export const batchSize = (frames: number): number =>
  Math.max(MIN_BATCH_SIZE, Math.floor(POSTS_PER_BATCH / Math.max(1, frames)));

/** Splits items into batches of `size`. The last may be smaller. */
export const batchesOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));
