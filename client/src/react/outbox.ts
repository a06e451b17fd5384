import { RoomsApiError } from '../errors.ts';
import type { Progress } from '../files.ts';
import { randomId } from '../random.ts';
import type { OutgoingMessage, PendingMessage } from '../room-types.ts';
import { createStore, type ReadableStore } from './lazy-store.ts';
import type { RoomStore } from './room-store.ts';

/** An own message that the list of messages does not contain yet. */
export interface OutboxMessage {
  readonly client_message_id: string;
  readonly message: OutgoingMessage;
  /**
   * - `uploading`: its files are being uploaded.
   * - `queued`: it waits for its turn, for the connection, or for the acknowledgment.
   * - `stored`: it is stored, and will be delivered.
   * - `failed`: it was not sent: see `error`. It stays until `retry` or `discard`.
   */
  readonly state: 'uploading' | 'queued' | 'stored' | 'failed';
  /** When it was sent: ISO 8601, by the clock of this machine. */
  readonly queued_at: string;
  /** Progress of the upload. */
  readonly progress: Progress | undefined;
  readonly error: unknown;
}

interface Entry extends OutboxMessage {
  /** The SDK lists it among the room's pending messages until it is delivered. */
  readonly isPassed: boolean;
}

interface OutboxState {
  readonly entries: readonly Entry[];
}

export interface Outbox extends ReadableStore<OutboxState> {
  /** Shows a message, and sends it when the room is joined. Returns its `client_message_id`. */
  send(message: OutgoingMessage): string;
  /** Sends a message again that has failed. */
  retry(clientMessageId: string): void;
  /** Removes a message and stops its upload. If the message was already sent, it may still be stored. */
  discard(clientMessageId: string): void;
}

/** Returns the outbox of a room. While messages are being sent, the room stays joined. */
export function outbox(room: RoomStore): Outbox {
  const store = createStore<OutboxState>({ entries: [] });
  const sending = new Map<string, AbortController>();

  const without = (id: string) => store.state.entries.filter(({ client_message_id }) => client_message_id !== id);
  const change = (id: string, by: Partial<Entry>) =>
    store.set({
      entries: store.state.entries.map((entry) => (entry.client_message_id === id ? { ...entry, ...by } : entry)),
    });

  /** Resolves when the room is joined. Rejects if it cannot be. */
  function joined(signal: AbortSignal) {
    return new Promise<NonNullable<typeof room.state.live>>((resolve, reject) => {
      const check = () => {
        const { status, live, error } = room.state;
        if (status === 'joined' && live) resolve(live);
        else if (status === 'ended') reject(new RoomsApiError('room_ended', 'This room has ended.'));
        else if (status === 'left') reject(new RoomsApiError('room_closed', 'You have left this room.'));
        else if (status === 'removed' || status === 'failed')
          reject(error ?? new RoomsApiError('not_a_participant', 'You were removed from this room.'));
        else return;
        stop();
      };
      const stop = room.subscribe(check);
      signal.addEventListener('abort', () => {
        reject(signal.reason);
        stop();
      });
      queueMicrotask(check);
    });
  }

  async function deliver({ client_message_id: id, message }: Entry): Promise<void> {
    const controller = new AbortController();
    sending.set(id, controller);
    const { signal } = controller;
    const release = room.subscribe(() => {});
    try {
      const live = await joined(signal);
      await live.send(
        { ...message, client_message_id: id },
        {
          signal,
          onSending: () => change(id, { isPassed: true }),
          onProgress: (progress) => change(id, { progress }),
        },
      );
      prune();
      // The SDK lists it until it is delivered.
      if (live.pending.some((pending) => pending.client_message_id === id)) {
        const stop = live.on('pending', () => {
          if (prune(id)) stop();
        });
      }
    } catch (error) {
      if (signal.aborted) store.set({ entries: without(id) });
      else change(id, { state: 'failed', error, isPassed: false, progress: undefined });
    } finally {
      sending.delete(id);
      release();
    }

    function prune(own = id): boolean {
      const isPending = room.state.live?.pending.some((pending) => pending.client_message_id === own) ?? false;
      if (!isPending) store.set({ entries: without(own) });
      return !isPending;
    }
  }

  return Object.assign(store, {
    send(message: OutgoingMessage): string {
      const id = message.client_message_id ?? randomId();
      const entry: Entry = {
        client_message_id: id,
        message,
        state: 'queued',
        queued_at: new Date().toISOString(),
        progress: undefined,
        error: undefined,
        isPassed: false,
      };
      store.set({ entries: [...without(id), entry] });
      void deliver(entry);
      return id;
    },
    retry(id: string): void {
      const entry = store.state.entries.find(({ client_message_id }) => client_message_id === id);
      if (entry?.state !== 'failed') return;
      change(id, { state: 'queued', error: undefined });
      void deliver(entry);
    },
    discard(id: string): void {
      sending.get(id)?.abort();
      store.set({ entries: without(id) });
    },
  });
}

/**
 * Returns the own messages to show after the history, in the order in which they were sent: the SDK's pending ones,
 * those that wait for the room, and failed ones.
 */
export function shownOutbox(entries: readonly Entry[], pending: readonly PendingMessage[]): readonly OutboxMessage[] {
  const passed = pending.map(({ client_message_id, text, attachment, state, queued_at }): OutboxMessage => {
    const own = entries.find((entry) => entry.client_message_id === client_message_id);
    return {
      client_message_id,
      message: own?.message ?? { text: text ?? undefined, attachment: attachment ?? undefined },
      state,
      queued_at: own?.queued_at ?? queued_at,
      progress: state === 'uploading' ? own?.progress : undefined,
      error: undefined,
    };
  });
  const waiting = entries.filter(({ isPassed }) => !isPassed).map(({ isPassed: _, ...shown }): OutboxMessage => shown);
  return [...passed, ...waiting].sort((a, b) => (a.queued_at < b.queued_at ? -1 : a.queued_at > b.queued_at ? 1 : 0));
}
