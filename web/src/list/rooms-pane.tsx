import { useState } from 'preact/hooks';
import type { MyRoom } from '../../../client/src/index.ts';
import { useSession } from '../session/user-session.ts';
import { useStore } from '../store.ts';
import { PlusIcon } from '../ui/icons.tsx';
import { Avatar, Spinner, StatusBadge } from '../ui/small.tsx';
import { moment } from '../ui/text.ts';
import { showRoom } from '../workspace.tsx';
import { NewRoomDialog } from './new-room-dialog.tsx';

/** The user, and the rooms they were added to. */
export function RoomsPane({ selected, onSignOut }: { selected: string | undefined; onSignOut: () => void }) {
  const { userId, rooms } = useSession();
  const [creating, setCreating] = useState(false);
  return (
    <nav class="rooms-pane" aria-label="Rooms">
      <header class="pane-header">
        <Avatar id={userId} name={userId} />
        <strong class="grow ellipsis">{userId}</strong>
        <button type="button" class="button small" onClick={onSignOut}>
          Switch user
        </button>
      </header>
      <div class="pane-title">
        <h1>Your rooms</h1>
        <button type="button" class="button primary small" onClick={() => setCreating(true)}>
          <PlusIcon />
          New room
        </button>
      </div>
      <RoomLists selected={selected} />
      {creating && (
        <NewRoomDialog
          onClose={() => setCreating(false)}
          onCreated={(roomId) => {
            showRoom(roomId);
            void rooms.refresh();
          }}
        />
      )}
    </nav>
  );
}

function RoomLists({ selected }: { selected: string | undefined }) {
  const { rooms: list } = useSession();
  const { rooms, failure, hasMore } = useStore(list.store);
  if (!rooms)
    return failure ? (
      <div class="pane-note">
        <p>{failure}</p>
        <button type="button" class="button" onClick={() => void list.refresh()}>
          Try again
        </button>
      </div>
    ) : (
      <Spinner label="Loading your rooms" />
    );
  const shown = rooms.filter(({ archive_room }) => !archive_room);
  const archived = rooms.filter(({ archive_room }) => archive_room);
  return (
    <div class="pane-scroll">
      {failure && <p class="pane-note small">{failure}</p>}
      {shown.length === 0 && (
        <p class="pane-note muted">
          {archived.length > 0
            ? 'All your rooms are archived.'
            : 'You are in no room yet. Create one, or ask to be added.'}
        </p>
      )}
      <RoomItems rooms={shown} selected={selected} />
      {archived.length > 0 && (
        <details class="archive">
          <summary>Archived ({archived.length})</summary>
          <RoomItems rooms={archived} selected={selected} />
        </details>
      )}
      {hasMore && (
        <button type="button" class="button pane-more" onClick={() => void list.showMore()}>
          Show older rooms
        </button>
      )}
    </div>
  );
}

const RoomItems = ({ rooms, selected }: { rooms: readonly MyRoom[]; selected: string | undefined }) => (
  <ul class="room-items">
    {rooms.map((room) => (
      <li key={room.room_id}>
        <a
          class="room-item"
          href={`#/room/${room.room_id}`}
          aria-current={room.room_id === selected ? 'page' : undefined}
        >
          <span class="room-item-name ellipsis" title={room.name}>
            {room.name}
          </span>
          <StatusBadge status={room.status} />
          <span class="room-item-time muted small ellipsis">{whenOf(room)}</span>
        </a>
      </li>
    ))}
  </ul>
);

/** The time of a room that matters now. */
function whenOf({ status, start_time, end_time }: MyRoom): string {
  if (status === 'booked') return `Starts ${moment(start_time)}`;
  if (status === 'ended') return `Ended ${end_time ? moment(end_time) : ''}`;
  return end_time ? `Ends ${moment(end_time)}` : `Since ${moment(start_time)}`;
}
