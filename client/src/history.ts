import type { Message } from './contract.ts';
import type { Page } from './http.ts';
import type { Seen } from './seen.ts';

/** Reads a page of a room's history, newest first. */
export type ReadPage = (limit: number, cursor: string | undefined) => Promise<Page<Message>>;

/** Messages in the first page that is read; the others are as long as pages can be. */
const FIRST_PAGE = 50;

/** Reads from the newest message back, until `enough` says so of a message, which is then left out, or the first is reached. */
async function readBack(
  readPage: ReadPage,
  maxPageSize: number,
  enough: (message: Message, read: number) => boolean,
): Promise<{ readonly messages: Message[]; readonly more: boolean }> {
  const messages: Message[] = [];
  let cursor: string | undefined;
  do {
    const page = await readPage(cursor ? maxPageSize : FIRST_PAGE, cursor);
    for (const message of page.items) {
      if (enough(message, messages.length)) return { messages, more: true };
      messages.push(message);
    }
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return { messages, more: false };
}

/** What was stored since the application saw the last message, and the overlap before it. Newest first. */
export async function missedMessages(readPage: ReadPage, maxPageSize: number, seen: Seen): Promise<Message[]> {
  return (await readBack(readPage, maxPageSize, ({ message_id }) => seen.isBefore(message_id))).messages;
}

/** The newest `count` messages, newest first. What is older will never be wanted. */
export async function latestMessages(
  readPage: ReadPage,
  maxPageSize: number,
  seen: Seen,
  count: number,
): Promise<Message[]> {
  const { messages, more } = await readBack(readPage, maxPageSize, (_, read) => read >= count);
  const oldest = messages.at(-1);
  if (more && oldest) seen.ignoreUpTo(oldest.message_id);
  return messages;
}

/** Takes everything that is stored by now as seen. */
export async function skipMessages(readPage: ReadPage, maxPageSize: number, seen: Seen): Promise<void> {
  await readBack(readPage, maxPageSize, ({ message_id }) => {
    const before = seen.isBefore(message_id);
    seen.add(message_id);
    return before;
  });
}
