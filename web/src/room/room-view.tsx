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

/** One room: its participants, their messages, and what the user may do. */
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
  // Presence is known while the user is in the room and connected. In rooms that are booked, ended or left, nobody is present.
  const lost = useConnectionLost();
  const knowsPresence = standing.is === 'joined' && !lost;
  const hidePeople = (): void => {
    setShowPeople(false);
    peopleButton.current?.focus();
  };
  useLayoutEffect(() => {
    if (!showPeople) return;
    const onKeyDown = ({ key }: KeyboardEvent): void => {
      // A dialog takes Escape for itself; a menu does not even pass it on.
      if (key === 'Escape' && !document.querySelector('dialog[open]')) hidePeople();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, [showPeople]);

  // A room that one has not joined tells nothing: the list says when its time has come.
  const itsTime = standing.is === 'booked' && listed !== undefined && listed.status !== 'booked';
  useEffect(() => {
    if (itsTime) session.enter();
  }, [itsTime, session]);
  // Where no event said that the user was added again, the list of rooms shows it: the room is gone from it, and comes back.
  const isOut = standing.is === 'removed';
  const wasUnlisted = useRef(false);
  useEffect(() => {
    if (!isOut) wasUnlisted.current = false;
    else if (!listed) wasUnlisted.current = true;
    else if (wasUnlisted.current) session.enter();
  }, [isOut, listed, session]);
  // The list shows what has happened here at once, and not only when it is read the next time.
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

/** Where files can be dropped. */
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

/** Announces messages of others, and what happens to the room, to screen readers. */
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
  // Not those from before a reload.
  const lastNotice = useRef(notice?.key);
  useEffect(() => {
    if (notice && notice.key !== lastNotice.current) setText(plainText(notice.sentence));
    lastNotice.current = notice?.key;
  }, [notice]);
  const { is } = state.standing;
  const before = useRef(is);
  useEffect(() => {
    // Not of a room that had ended when it was opened.
    if (before.current === 'joined' && is === 'ended') setText('This room has ended.');
    if (before.current === 'joined' && is === 'removed') setText('You were removed from this room.');
    if (before.current === 'booked' && is === 'joined') setText('This room has started.');
    // `joining` lies between the two.
    if (is !== 'joining') before.current = is;
  }, [is]);
  return (
    <div class="visually-hidden" aria-live="polite">
      {text}
    </div>
  );
}
