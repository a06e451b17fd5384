import { useEffect, useState } from 'preact/hooks';
import { RoomsPane } from './list/rooms-pane.tsx';
import { RoomView } from './room/room-view.tsx';
import { roomInUrl } from './room-url.ts';
import { useConnectionLost } from './session/connection-lost.ts';
import { useSession } from './session/user-session.ts';
import { useStore } from './store.ts';
import { CloseIcon } from './ui/icons.tsx';
import { Blank } from './ui/small.tsx';

function useRoomInUrl(): string | undefined {
  const [roomId, setRoomId] = useState(roomInUrl);
  useEffect(() => {
    const listener = (): void => setRoomId(roomInUrl());
    addEventListener('hashchange', listener);
    return () => removeEventListener('hashchange', listener);
  }, []);
  return roomId;
}

export function Workspace({ onSignOut }: { onSignOut: () => void }) {
  const roomId = useRoomInUrl();
  useTitle(roomId);
  return (
    <main class={`workspace ${roomId ? 'in-room' : ''}`}>
      <RoomsPane selected={roomId} onSignOut={onSignOut} />
      <div class="main">
        <ConnectionBanner />
        {roomId ? (
          <RoomView key={roomId} roomId={roomId} />
        ) : (
          <div class="centre">
            <Blank title="No room is open">
              <p>Choose a room from the list, or create one.</p>
            </Blank>
          </div>
        )}
      </div>
      <Trouble />
    </main>
  );
}

function ConnectionBanner() {
  const { retryNow } = useSession();
  const shown = useConnectionLost();
  return (
    <div class={shown ? 'banner' : ''}>
      <p role="status">
        {shown && (
          <>
            <span class="spinner" aria-hidden="true" />
            Connection lost. Reconnecting; your messages are sent later.
          </>
        )}
      </p>
      {shown && (
        <button type="button" class="button small" onClick={retryNow}>
          Retry now
        </button>
      )}
    </div>
  );
}

/** Shows the open room and the number of unread rooms in the title of the tab. */
function useTitle(roomId: string | undefined): void {
  const { unread, rooms } = useSession();
  const count = useStore(unread.store).size;
  const name = useStore(rooms.store).rooms?.find(({ room_id }) => room_id === roomId)?.name;
  useEffect(() => {
    document.title = `${count > 0 ? `(${count}) ` : ''}${name ? `${name} · ` : ''}Rooms`;
    return () => {
      document.title = 'Rooms';
    };
  }, [count, name]);
}

const TROUBLE_MS = 8_000;

function Trouble() {
  const { trouble } = useSession();
  const current = useStore(trouble);
  const dismiss = (): void => trouble.update(() => undefined);
  useEffect(() => {
    if (!current) return;
    const timer = setTimeout(dismiss, TROUBLE_MS);
    return () => clearTimeout(timer);
  }, [current]);
  return (
    <div class="toasts" role="alert">
      {current && (
        <div class="toast">
          <span>{current.text}</span>
          <button type="button" class="button quiet square" aria-label="Dismiss" onClick={dismiss}>
            <CloseIcon />
          </button>
        </div>
      )}
    </div>
  );
}
