import { useEffect, useState } from 'preact/hooks';
import { RoomsPane } from './list/rooms-pane.tsx';
import { RoomView } from './room/room-view.tsx';
import { useSession } from './session/user-session.ts';
import { useStore } from './store.ts';
import { CloseIcon } from './ui/icons.tsx';
import { Blank } from './ui/small.tsx';

const ROOM_HASH = /^#\/room\/([0-9a-f-]{36})$/i;
const roomInUrl = (): string | undefined => ROOM_HASH.exec(location.hash)?.[1]?.toLowerCase();

/** Shows a room, or with undefined the list; the browser's back button goes back. */
export const showRoom = (roomId: string | undefined): void => {
  location.hash = roomId ? `#/room/${roomId}` : '#/';
};

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
  return (
    <div class={`workspace ${roomId ? 'in-room' : ''}`}>
      <RoomsPane selected={roomId} onSignOut={onSignOut} />
      <div class="main">
        <ConnectionBanner />
        {roomId ? (
          <RoomView key={roomId} roomId={roomId} />
        ) : (
          <main class="centre">
            <Blank title="No room is open">
              <p>Choose a room from the list, or create one.</p>
            </Blank>
          </main>
        )}
      </div>
      <Trouble />
    </div>
  );
}

/** Short losses, as when the access token is renewed, are nothing to worry people with. */
const WORTH_TELLING_MS = 700;

function ConnectionBanner() {
  const { online, connect } = useSession();
  const state = useStore(online);
  const [late, setLate] = useState(false);
  const lost = state === 'reconnecting';
  useEffect(() => {
    if (!lost) return setLate(false);
    const timer = setTimeout(() => setLate(true), WORTH_TELLING_MS);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <div role="status">
      {lost && late && (
        <p class="banner">
          <span class="spinner" aria-hidden="true" />
          Connection lost. Reconnecting; nothing you send gets lost.
        </p>
      )}
      {(state === 'failed' || state === 'closed') && (
        <p class="banner">
          Real time is not connected.
          <button type="button" class="button small" onClick={connect}>
            Connect
          </button>
        </p>
      )}
    </div>
  );
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
