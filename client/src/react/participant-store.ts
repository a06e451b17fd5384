import type { RoomsClient } from '../client.ts';
import { type ListedRoom, type LiveParticipants, liveParticipants, type ParticipantListState } from '../live-state.ts';
import { lazyStore, type ReadableStore } from './lazy-store.ts';
import { quietRoom } from './message-store.ts';
import type { RoomStore } from './room-store.ts';

export interface ParticipantStore extends ReadableStore<ParticipantListState> {
  /** Reads the list again to update others' read marks, which no event reports. */
  refresh(): void;
}

export const initialParticipants: ParticipantListState = { participants: [], onlineCount: 0, status: 'loading' };

/** Returns the participants of a room. The room stays joined while the store has listeners. */
export function participantStore(client: RoomsClient, roomId: string, room: RoomStore): ParticipantStore {
  let list: LiveParticipants | undefined;

  const store = lazyStore<ParticipantListState>(initialParticipants, (own) => {
    let source: ListedRoom | undefined;
    const quiet = quietRoom(roomId);

    function follow(): void {
      const { live, status } = room.state;
      const next = live ?? (status === 'ended' || status === 'booked' ? quiet : undefined);
      if (!next || next === source) return;
      source = next;
      list?.close();
      const opened = liveParticipants(client, next);
      list = opened;
      opened.subscribe(() => {
        // When the room is joined again, the previous list stays visible until the new one has been read.
        if (opened.state.status !== 'loading') own.set(opened.state);
      });
    }

    const stop = room.subscribe(follow);
    follow();
    return () => {
      stop();
      list?.close();
      list = undefined;
    };
  });
  return Object.assign(store, { refresh: () => list?.refresh() });
}
