import { useEffect, useId, useMemo, useState } from 'preact/hooks';
import type { MyRoom } from '../../../client/src/index.ts';
import { showRoom } from '../room-url.ts';
import { useSession } from '../session/user-session.ts';
import { useStore } from '../store.ts';
import { PlusIcon } from '../ui/icons.tsx';
import { Avatar, Spinner, StatusBadge } from '../ui/small.tsx';
import { moment } from '../ui/text.ts';
import { filterRooms, isFiltering, NO_FILTER, type RoomFilter } from './filter.ts';
import { NewRoomDialog } from './new-room-dialog.tsx';

/** The list of the user's rooms. */
export function RoomsPane({ selected, onSignOut }: { selected: string | undefined; onSignOut: () => void }) {
  const { userId, rooms } = useSession();
  const [creating, setCreating] = useState(false);
  return (
    <nav class="rooms-pane" aria-label="Rooms">
      <header class="pane-header">
        <Avatar id={userId} name={userId} />
        <strong class="grow ellipsis" title={userId}>
          {userId}
        </strong>
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

const STATUSES = { any: 'All', started: 'Started', booked: 'Booked', ended: 'Ended' } as const;
const STATUS_NAMES = ['any', 'started', 'booked', 'ended'] as const;

function RoomLists({ selected }: { selected: string | undefined }) {
  const { rooms: list } = useSession();
  const { rooms, failure, hasMore } = useStore(list.store);
  const [filter, setFilter] = useState(NO_FILTER);
  const filtering = isFiltering(filter);
  useEffect(() => list.readAll(filtering), [list, filtering]);
  const found = useMemo(() => filterRooms(rooms ?? [], filter), [rooms, filter]);
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
  const shown = found.filter(({ archive_room }) => !archive_room);
  const archived = found.filter(({ archive_room }) => archive_room);
  return (
    <>
      <FilterFields filter={filter} onChange={setFilter} />
      <p class="visually-hidden" role="status">
        {filtering && `${found.length} of ${rooms.length} rooms`}
      </p>
      <div class="pane-scroll">
        {failure && <p class="pane-note small">{failure}</p>}
        {filtering && (
          <p class="pane-note muted small row">
            <span class="grow">
              {found.length === 0 ? 'No room matches.' : `${found.length} of ${rooms.length} rooms`}
            </span>
            <button type="button" class="link" onClick={() => setFilter(NO_FILTER)}>
              Show all
            </button>
          </p>
        )}
        {!filtering && shown.length === 0 && (
          <p class="pane-note muted">
            {archived.length > 0
              ? 'All your rooms are archived.'
              : 'You are not in a room yet. Create one, or ask to be added.'}
          </p>
        )}
        <RoomItems rooms={shown} selected={selected} />
        {archived.length > 0 && (
          <details class="archive" {...(filtering && { open: true })}>
            <summary>Archived ({archived.length})</summary>
            <RoomItems rooms={archived} selected={selected} />
          </details>
        )}
        {hasMore && !filtering && (
          <button type="button" class="button pane-more" onClick={() => void list.showMore()}>
            Show older rooms
          </button>
        )}
      </div>
    </>
  );
}

function FilterFields({ filter, onChange }: { filter: RoomFilter; onChange: (filter: RoomFilter) => void }) {
  const id = useId();
  return (
    <search class="pane-search">
      <label class="visually-hidden" for={id}>
        Search rooms
      </label>
      <input
        id={id}
        type="search"
        dir="auto"
        placeholder="Search rooms"
        autocomplete="off"
        spellcheck={false}
        value={filter.text}
        onInput={({ currentTarget }) => onChange({ ...filter, text: currentTarget.value })}
      />
      <fieldset class="statuses">
        <legend class="visually-hidden">Status</legend>
        {STATUS_NAMES.map((status) => (
          <label key={status} class="status-choice small">
            <input
              type="radio"
              name={`${id}-status`}
              checked={filter.status === status}
              onChange={() => onChange({ ...filter, status })}
            />
            <span>{STATUSES[status]}</span>
          </label>
        ))}
      </fieldset>
    </search>
  );
}

function RoomItems({ rooms, selected }: { rooms: readonly MyRoom[]; selected: string | undefined }) {
  const { unread, drafts } = useSession();
  const unreadIds = useStore(unread.store);
  const draftIds = useStore(drafts.store);
  return (
    <ul class="room-items">
      {rooms.map((room) => {
        const isUnread = unreadIds.has(room.room_id);
        return (
          <li key={room.room_id}>
            <a
              class={`room-item ${isUnread ? 'unread' : ''}`}
              href={`#/room/${room.room_id}`}
              aria-current={room.room_id === selected ? 'page' : undefined}
            >
              <span class="room-item-name two-lines" title={room.name} dir="auto">
                {room.name}
              </span>
              <StatusBadge status={room.status} />
              <span class="room-item-time muted small ellipsis">
                {draftIds.has(room.room_id) && room.room_id !== selected && <span class="draft">Draft · </span>}
                {whenOf(room)}
              </span>
              {isUnread && (
                <>
                  <span class="unread-mark" aria-hidden="true" />
                  <span class="visually-hidden">Unread</span>
                </>
              )}
            </a>
          </li>
        );
      })}
    </ul>
  );
}

/** Returns the time that is relevant for the room's status. */
function whenOf({ status, start_time, end_time }: MyRoom): string {
  if (status === 'booked') return `Starts ${moment(start_time)}`;
  if (status === 'ended') return `Ended ${end_time ? moment(end_time) : ''}`;
  return end_time ? `Ends ${moment(end_time)}` : `Since ${moment(start_time)}`;
}
