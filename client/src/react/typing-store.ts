import type { LiveRoom, Peer } from '../room-types.ts';
import { lazyStore, type ReadableStore } from './lazy-store.ts';
import type { RoomStore } from './room-store.ts';

export interface TypingState {
  /** The other participants who are typing. */
  readonly typing: readonly Peer[];
}

export const initialTyping: TypingState = { typing: [] };

/** Returns who is typing in a room. The room stays joined while the store has listeners. */
export const typingStore = (room: RoomStore): ReadableStore<TypingState> =>
  lazyStore<TypingState>(initialTyping, (own) => {
    let source: LiveRoom | undefined;
    let stop = (): void => {};
    function follow(): void {
      const { live } = room.state;
      if (!live || live === source) return;
      stop();
      source = live;
      stop = live.on('typing', (typing) => own.set({ typing }));
      own.set({ typing: live.typing });
    }
    const stopRoom = room.subscribe(follow);
    follow();
    return () => {
      stop();
      stopRoom();
    };
  });
