/*
 * How the connections of a large room are shared out among invocations.
 */

/**
 * Posts that a slice is worth: 0.2 s of a processor (`npm run bench:fanout`), of which a function with 1,024 MB has a little more
 * than half. With fewer, starting and waiting for an invocation would be much of what it takes.
 */
const POSTS_A_SLICE = 500;
/** Fewer connections than this do not keep an invocation busy, however much each is sent: it waits for answers. */
const LEAST_SLICE = 25;

/**
 * Invocations that one process has work at the same time. Each makes some 1,000 posts a second, and API Gateway takes 10,000 a
 * second from an account, and 5,000 at once, unless AWS was asked for more: with many more, posts would be refused.
 */
export const INVOCATIONS_AT_ONCE = 12;

/** How many connections are in a slice where each is sent so many frames. */
export const sliceSize = (frames: number): number =>
  Math.max(LEAST_SLICE, Math.floor(POSTS_A_SLICE / Math.max(1, frames)));

/** The items of all pages in slices of `size`, each as soon as there are enough for it. The last may be smaller. */
export async function* slicesOf<Item>(pages: AsyncIterable<readonly Item[]>, size: number): AsyncGenerator<Item[]> {
  let slice: Item[] = [];
  for await (const page of pages)
    for (const item of page) {
      slice.push(item);
      if (slice.length < size) continue;
      yield slice;
      slice = [];
    }
  if (slice.length > 0) yield slice;
}
