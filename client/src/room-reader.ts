import { MAX_PAGE_SIZE, type Message } from './contract.ts';
import { readChanges, readFirst, readMissed } from './history.ts';
import type { Insist } from './insist.ts';
import type { MissedMessages } from './room-feeds.ts';
import type { Pages, RoomHost } from './room-host.ts';
import type { RoomInbox } from './room-inbox.ts';
import type { JoinOptions } from './room-types.ts';

/* Reads the messages of a room that were not delivered as events. */

/** With a signal, retries until it succeeds or the signal aborts. Without a signal, reads once. */
type Read<Result> = (signal?: AbortSignal) => Promise<Result>;

export interface RoomReader {
  /** True once history was delivered: from then on, only what comes after it is read. */
  isStarted: boolean;
  /** Reads the messages that are wanted from before the first join, later those that are missing. */
  readonly history: Read<readonly Message[]>;
  /** Reads the edits and deletions after the last one that was delivered. */
  readonly changes: Read<readonly Message[]>;
  /** Reads both, because either can have been missed. */
  readonly all: Read<MissedMessages>;
  /** Marks the messages from before the first join as unwanted, if the application wants none of them. */
  skip(signal: AbortSignal): Promise<void>;
}

export function roomReader(
  host: RoomHost,
  { history = 0, known }: JoinOptions,
  inbox: RoomInbox,
  insist: Insist,
): RoomReader {
  /** Whether the unwanted messages from before the join are known. */
  let isSkipped = false;

  const pagesFor = (signal: AbortSignal | undefined): Pages =>
    signal
      ? {
          readPage: (limit, cursor) => insist(signal, () => host.readPage(limit, cursor)),
          readChangesPage: (query) => insist(signal, () => host.readChangesPage(query)),
        }
      : host;

  const reader: RoomReader = {
    isStarted: false,
    history(signal) {
      const { readPage } = pagesFor(signal);
      return reader.isStarted || isSkipped
        ? readMissed(readPage, MAX_PAGE_SIZE, inbox.log)
        : readFirst(readPage, MAX_PAGE_SIZE, inbox.log, { history, known, overlapMs: host.settings.overlapMs });
    },
    changes: async (signal) =>
      inbox.joinedChange === undefined
        ? []
        : readChanges(pagesFor(signal).readChangesPage, MAX_PAGE_SIZE, inbox.lastChange),
    async all(signal) {
      const [messages, changed] = await Promise.all([reader.history(signal), reader.changes(signal)]);
      return { history: messages, changed };
    },
    async skip(signal) {
      if (isSkipped || reader.isStarted || history || known) return;
      await reader.history(signal);
      isSkipped = true;
    },
  };
  return reader;
}
