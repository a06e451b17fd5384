import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { showRoom } from '../room-url.ts';
import { useConnectionLost } from '../session/connection-lost.ts';
import { useSession } from '../session/user-session.ts';
import { useStore } from '../store.ts';
import { Blank, Spinner } from '../ui/small.tsx';
import { Chat } from './chat.tsx';
import { Composer, type ComposerHandle } from './composer.tsx';
import { EndingBanner } from './ending-banner.tsx';
import { People } from './people.tsx';
import { RoomHeader } from './room-header.tsx';
import { plainText } from './sentences.ts';
import type { RoomSession } from './session.ts';
import { type RoomState, readOnlyReason, senderName } from './state.ts';

/** The view of a room, with its participants, messages and actions. */
export function RoomView({ roomId }: { roomId: string }) {
  const { openRooms, unread } = useSession();
  const [session, setSession] = useState<RoomSession>();
  useEffect(() => {
    const { session: opened, release } = openRooms.view(roomId);
    setSession(opened);
    unread.setOpen(roomId);
    return () => {
      unread.setOpen(undefined);
      release();
    };
  }, [openRooms, unread, roomId]);
  if (!session) return null;
  return <OpenRoom session={session} />;
}

function OpenRoom({ session }: { session: RoomSession }) {
  const { rooms } = useSession();
  const state = useStore(session.store);
  const list = useStore(rooms.store);
  const listed = list.rooms?.find(({ room_id }) => room_id === session.roomId);
  const [showPeople, setShowPeople] = useState(false);
  const composer = useRef<ComposerHandle | null>(null);
  const peopleButton = useRef<HTMLButtonElement | null>(null);
  const { standing, room, people = [] } = state;
  // Presence is known only while the user is connected and has joined the room.
  const lost = useConnectionLost();
  const knowsPresence = standing.is === 'joined' && !lost;
  const hidePeople = (): void => {
    setShowPeople(false);
    peopleButton.current?.focus();
  };
  useLayoutEffect(() => {
    if (!showPeople) return;
    const onKeyDown = ({ key }: KeyboardEvent): void => {
      // Escape closes an open dialog first. A menu stops the event itself.
      if (key === 'Escape' && !document.querySelector('dialog[open]')) hidePeople();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, [showPeople]);

  // A room that is not joined sends no events, so the list shows when a booked room starts.
  const itsTime = standing.is === 'booked' && listed !== undefined && listed.status !== 'booked';
  useEffect(() => {
    if (itsTime) session.enter();
  }, [itsTime, session]);
  // If the event was missed, the list shows that the user was added again: the room disappears and reappears.
  const isOut = standing.is === 'removed';
  const wasUnlisted = useRef(false);
  useEffect(() => {
    if (!isOut) wasUnlisted.current = false;
    else if (!listed) wasUnlisted.current = true;
    else if (wasUnlisted.current) session.enter();
  }, [isOut, listed, session]);
  // Refreshes the list, so that it shows changes of this room at once.
  useEffect(() => {
    void rooms.refresh();
  }, [standing.is, room?.name, room?.end_time, room?.status, room?.archive_room]);

  if (!room) {
    if (standing.is === 'failed' || standing.is === 'removed')
      return (
        <div class="centre">
          <Blank title="This room cannot be opened">
            <p>{standing.is === 'failed' ? standing.why : 'You are not one of its participants.'}</p>
            <div class="row">
              <button type="button" class="button" onClick={() => showRoom(undefined)}>
                Back to your rooms
              </button>
              <button type="button" class="button primary" onClick={() => session.enter()}>
                Try again
              </button>
            </div>
          </Blank>
        </div>
      );
    return (
      <div class="centre">
        <Spinner label="Opening the room" />
      </div>
    );
  }
  return (
    <div class={`room ${showPeople ? 'show-people' : ''}`}>
      <RoomHeader
        room={room}
        standing={standing}
        onlineCount={knowsPresence ? people.filter((person) => person.online).length : undefined}
        peopleCount={people.length}
        peopleShown={showPeople}
        peopleButton={peopleButton}
        onTogglePeople={() => setShowPeople(!showPeople)}
      />
      <EndingBanner roomId={session.roomId} />
      <div class="room-body">
        <DropTarget
          enabled={standing.is === 'joined' && !readOnlyReason(room)}
          onFiles={(files) => composer.current?.attach(files)}
        >
          <Chat session={session} state={state} />
          <Composer handle={composer} session={session} state={state} listed={listed !== undefined} />
        </DropTarget>
        <People room={room} people={people} standing={standing} knowsPresence={knowsPresence} onClose={hidePeople} />
      </div>
      <Announcer session={session} state={state} />
    </div>
  );
}

/** An area on which files can be dropped. */
function DropTarget({
  enabled,
  onFiles,
  children,
}: {
  enabled: boolean;
  onFiles: (files: readonly File[]) => void;
  children: ComponentChildren;
}) {
  const [over, setOver] = useState(false);
  const hasFiles = (event: DragEvent): boolean => enabled && (event.dataTransfer?.types.includes('Files') ?? false);
  return (
    <section
      class="conversation"
      aria-label="Chat"
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={({ currentTarget, relatedTarget }) => {
        if (!(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))) setOver(false);
      }}
      onDrop={(event) => {
        setOver(false);
        if (!hasFiles(event)) return;
        event.preventDefault();
        onFiles([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      {children}
      {over && <div class="drop-hint">Drop the file to attach it</div>}
    </section>
  );
}

/** Announces messages of others and changes of the room to screen readers. */
function Announcer({ session, state }: { session: RoomSession; state: RoomState }) {
  const [text, setText] = useState('');
  useEffect(
    () =>
      session.onHeard((message) => {
        const said = message.text ?? `sent the file ${message.attachment?.name ?? ''}`;
        const sender = message.kind === 'system' ? 'Announcement' : senderName(session.store.get(), message);
        setText(`${sender}: ${said}`);
      }),
    [session],
  );
  const notice = state.notices.at(-1);
  // Does not announce notices from before a reload.
  const lastNotice = useRef(notice?.key);
  useEffect(() => {
    if (notice && notice.key !== lastNotice.current) setText(plainText(notice.sentence));
    lastNotice.current = notice?.key;
  }, [notice]);
  const { is } = state.standing;
  const before = useRef(is);
  useEffect(() => {
    // Does not announce the end of a room that had ended before it was opened.
    if (before.current === 'joined' && is === 'ended') setText('This room has ended.');
    if (before.current === 'joined' && is === 'removed') setText('You were removed from this room.');
    if (before.current === 'booked' && is === 'joined') setText('This room has started.');
    // `joining` is an intermediate state.
    if (is !== 'joining') before.current = is;
  }, [is]);
  return (
    <div class="visually-hidden" aria-live="polite">
      {text}
    </div>
  );
}
