import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useSession } from '../session/user-session.ts';
import { useStore } from '../store.ts';
import { Blank, Spinner } from '../ui/small.tsx';
import { showRoom } from '../workspace.tsx';
import { Chat } from './chat.tsx';
import { Composer, type ComposerHandle } from './composer.tsx';
import { People } from './people.tsx';
import { RoomHeader } from './room-header.tsx';
import { openRoom, type RoomSession } from './session.ts';
import { nameOf, type RoomState } from './state.ts';

/** One room: who is in it, what they say, and what the user may do. */
export function RoomView({ roomId }: { roomId: string }) {
  const { client, userId } = useSession();
  const [session, setSession] = useState<RoomSession>();
  useEffect(() => {
    const opened = openRoom(client, roomId, userId);
    setSession(opened);
    return opened.leave;
  }, [client, roomId, userId]);
  if (!session) return null;
  return <OpenRoom session={session} />;
}

function OpenRoom({ session }: { session: RoomSession }) {
  const { rooms, online } = useSession();
  const state = useStore(session.store);
  const connected = useStore(online) === 'connected';
  const listed = useStore(rooms.store).rooms?.find(({ room_id }) => room_id === session.roomId);
  const [showPeople, setShowPeople] = useState(false);
  const composer = useRef<ComposerHandle | null>(null);
  const peopleButton = useRef<HTMLButtonElement | null>(null);
  const { standing, room } = state;
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
    if (itsTime) void session.enter();
  }, [itsTime, session]);
  // The first connection did not come about, and now there is one.
  useEffect(() => {
    if (connected && session.store.get().standing.is === 'failed') void session.enter();
  }, [connected, session]);
  // The list shows what has happened here at once, and not only when it is read the next time.
  useEffect(() => {
    void rooms.refresh();
  }, [standing.is, room?.name, room?.end_time, room?.status, room?.archive_room]);

  if (!room) {
    if (standing.is === 'failed' || standing.is === 'removed')
      return (
        <main class="centre">
          <Blank title="This room cannot be opened">
            <p>{standing.is === 'failed' ? standing.why : 'You are not one of its participants.'}</p>
            <div class="row">
              <button type="button" class="button" onClick={() => showRoom(undefined)}>
                Back to your rooms
              </button>
              <button type="button" class="button primary" onClick={() => void session.enter()}>
                Try again
              </button>
            </div>
          </Blank>
        </main>
      );
    return (
      <main class="centre">
        <Spinner label="Opening the room" />
      </main>
    );
  }
  return (
    <main class={`room ${showPeople ? 'show-people' : ''}`}>
      <RoomHeader
        room={room}
        standing={standing}
        onlineCount={state.people.filter((person) => person.online).length}
        peopleShown={showPeople}
        peopleButton={peopleButton}
        onTogglePeople={() => setShowPeople(!showPeople)}
      />
      <div class="room-body">
        <DropTarget enabled={standing.is === 'joined'} onFile={(file) => composer.current?.attach(file)}>
          <Chat session={session} state={state} />
          <Composer handle={composer} session={session} state={state} listed={listed !== undefined} />
        </DropTarget>
        <People room={room} people={state.people} standing={standing} onClose={hidePeople} />
      </div>
      <Announcer session={session} state={state} />
    </main>
  );
}

/** Where files can be dropped. */
function DropTarget({
  enabled,
  onFile,
  children,
}: {
  enabled: boolean;
  onFile: (file: File) => void;
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
        for (const file of event.dataTransfer?.files ?? []) onFile(file);
      }}
    >
      {children}
      {over && <div class="drop-hint">Drop the file to attach it</div>}
    </section>
  );
}

/** Reads what others say, and what happens to the room, to those who do not see it. */
function Announcer({ session, state }: { session: RoomSession; state: RoomState }) {
  const [text, setText] = useState('');
  useEffect(
    () =>
      session.onHeard((message) => {
        const said = message.text ?? `sent the file ${message.attachment?.name ?? ''}`;
        setText(`${nameOf(session.store.get(), message.sender_id)}: ${said}`);
      }),
    [session],
  );
  const notice = state.notices.at(-1);
  useEffect(() => {
    if (notice) setText(notice.text);
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
