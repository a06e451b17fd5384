/*
 * How the connections of a large room are split into batches, one for each invocation.
 */

/**
 * The number of posts in a batch: 0.2 s of CPU time (`npm run bench:fanout`), of which a function with 1,024 MB has
 * about half a vCPU. In smaller batches, invoking the function would take a large part of the time.
 */
const POSTS_PER_BATCH = 500;
/** With fewer connections, an invocation mostly waits for responses, for any number of frames per connection. */
const MIN_BATCH_SIZE = 25;

/** Returns the number of connections in a batch if each receives `frames` frames. */
export const batchSize = (frames: number): number =>
  Math.max(MIN_BATCH_SIZE, Math.floor(POSTS_PER_BATCH / Math.max(1, frames)));

/** Splits items into batches of `size`. The last may be smaller. */
export const batchesOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));
