import type { Message } from './contract.ts';
import type { Page } from './http.ts';
import { timeOf } from './message-dedup.ts';
import type { Identified, MessageLog } from './message-log.ts';

/** Reads a page of a room's history, newest first. */
export type ReadPage = (limit: number, cursor: string | undefined) => Promise<Page<Message>>;

/** Reads a page of the room's changed messages, in the order of their last changes. */
export type ReadChangesPage = (query: ChangesQuery) => Promise<Page<Message>>;

/** The start of a page of changes: after a number, or at a cursor. */
export interface ChangesQuery {
  readonly after?: number | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** The number of messages in the first page. Later pages have the maximum size. */
const FIRST_PAGE = 50;

/** Messages in history's order, newest first, and the message at which reading stopped. */
interface Read {
  readonly messages: readonly Message[];
  readonly stoppedAt: string | undefined;
}

/**
 * Reads backwards from the newest message, until `isEnough` returns true for a message or the first message is reached.
 * That message is excluded.
 */
async function readBack(
  readPage: ReadPage,
  maxPageSize: number,
  isEnough: (message: Message, read: readonly Message[]) => boolean,
): Promise<Read> {
  const messages: Message[] = [];
  let cursor: string | undefined;
  do {
    const page = await readPage(cursor ? maxPageSize : FIRST_PAGE, cursor);
    for (const message of page.items) {
      if (isEnough(message, messages)) return { messages, stoppedAt: message.message_id };
      messages.push(message);
    }
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return { messages, stoppedAt: undefined };
}

/** Which messages from before the join an application wants. */
export interface Wanted {
  /** The newest n. */
  readonly history: number;
  /** The messages that are newer than the oldest of these, and not among them. An empty list means all messages. */
  readonly known: readonly Identified[] | undefined;
  readonly overlapMs: number;
}

/**
 * Reads the history at the first join, and tells the log which messages are not wanted. Returns the wanted messages,
 * for `catchUp`.
 *
 * Reads further back by the overlap. A message that is stored there later is new, although its ID is older.
 */
export async function readFirst(
  readPage: ReadPage,
  maxPageSize: number,
  log: MessageLog<Message>,
  { history, known, overlapMs }: Wanted,
): Promise<readonly Message[]> {
  const oldestKnown = known?.map(({ message_id }) => message_id).sort()[0];
  if (known && !oldestKnown) return (await readBack(readPage, maxPageSize, () => false)).messages;
  const isFarBack = ({ message_id }: Message, from: string) => timeOf(message_id) < timeOf(from) - overlapMs;
  const { messages, stoppedAt } = await readBack(readPage, maxPageSize, (message, read) => {
    const from = oldestKnown ?? read[0]?.message_id;
    return from !== undefined && isFarBack(message, from) && read.length >= history;
  });
  const isWanted = oldestKnown
    ? ({ message_id }: Message) => message_id > oldestKnown
    : (_: Message, n: number) => n < history;
  log.skip([...(known ?? []), ...messages.filter((message, n) => !isWanted(message, n))], stoppedAt);
  return messages.filter(isWanted);
}

/** Reads the messages since the last complete one, including the overlap before it, for `catchUp`. */
export const readMissed = async (
  readPage: ReadPage,
  maxPageSize: number,
  log: MessageLog<Message>,
): Promise<readonly Message[]> =>
  (await readBack(readPage, maxPageSize, ({ message_id }) => log.isComplete(message_id))).messages;

/** Reads the messages whose last change has a number above `after`, in order of these numbers. */
export async function readChanges(
  readPage: ReadChangesPage,
  limit: number,
  after: number,
): Promise<readonly Message[]> {
  const messages: Message[] = [];
  let query: ChangesQuery = { after, limit };
  for (;;) {
    const { items, next_cursor } = await readPage(query);
    messages.push(...items);
    if (next_cursor === null) return messages;
    query = { cursor: next_cursor, limit };
  }
}
