import type { RefObject } from 'preact';
import { useState } from 'preact/hooks';
import type { MyRoom } from '../../../client/src/index.ts';
import { showRoom } from '../room-url.ts';
import { useSession } from '../session/user-session.ts';
import { BackIcon, ClockIcon, PeopleIcon } from '../ui/icons.tsx';
import { Menu } from '../ui/menu.tsx';
import { StatusBadge, useNow } from '../ui/small.tsx';
import { countdown, moment } from '../ui/text.ts';
import { EditRoomDialog, EndRoomDialog, LeaveDialog, NameDialog } from './dialogs.tsx';
import type { Standing } from './state.ts';

export function RoomHeader({
  room,
  standing,
  onlineCount,
  peopleCount,
  peopleShown,
  peopleButton,
  onTogglePeople,
}: {
  room: MyRoom;
  standing: Standing;
  /** Undefined if presence is not known: in rooms that are booked or ended, or that the user has left. */
  onlineCount: number | undefined;
  peopleCount: number;
  peopleShown: boolean;
  peopleButton: RefObject<HTMLButtonElement | null>;
  onTogglePeople: () => void;
}) {
  const { client, attempt, rooms } = useSession();
  const [dialog, setDialog] = useState<'edit' | 'end' | 'leave' | 'name'>();
  const [archived, setArchived] = useState(room.archive_room);
  const mayChange = room.is_admin && room.status !== 'ended' && standing.is !== 'removed';
  const archive = async (archive_room: boolean): Promise<void> => {
    if (!(await attempt(() => client.updateProfile(room.room_id, { archive_room })))) return;
    setArchived(archive_room);
    void rooms.refresh();
  };
  const isLocked = room.posting === 'admins';
  const lock = (posting: 'admins' | 'everyone') => attempt(() => client.updateRoom(room.room_id, { posting }));
  const count =
    onlineCount !== undefined ? `${onlineCount} online` : `${peopleCount} ${peopleCount === 1 ? 'person' : 'people'}`;
  return (
    <header class="room-header">
      <button
        type="button"
        class="button quiet square back"
        aria-label="Back to your rooms"
        onClick={() => showRoom(undefined)}
      >
        <BackIcon />
      </button>
      <div class="room-title">
        <div class="row">
          <h1 class="ellipsis" title={room.name} dir="auto">
            {room.name}
          </h1>
          <StatusBadge status={room.status} />
          {isLocked && <span class="badge">Admins only</span>}
        </div>
        <p class="muted small ellipsis" title={room.description ?? undefined}>
          <When room={room} />
          {room.description && (
            <>
              {' · '}
              <bdi>{room.description}</bdi>
            </>
          )}
        </p>
      </div>
      <button
        ref={peopleButton}
        type="button"
        class="button people-button"
        aria-label={`${count}, show people`}
        aria-expanded={peopleShown}
        aria-controls="people"
        onClick={onTogglePeople}
      >
        <PeopleIcon />
        <span>{count}</span>
      </button>
      {standing.is !== 'removed' && (
        <Menu
          label="Room actions"
          items={[
            ...(mayChange ? [{ label: 'Edit room…', onChoose: () => setDialog('edit') }] : []),
            { label: 'Your name in this room…', onChoose: () => setDialog('name') },
            archived
              ? { label: 'Unarchive', onChoose: () => void archive(false) }
              : { label: 'Archive', onChoose: () => void archive(true) },
            ...(mayChange
              ? [
                  isLocked
                    ? { label: 'Let everyone write', onChoose: () => void lock('everyone') }
                    : { label: 'Let only admins write', onChoose: () => void lock('admins') },
                ]
              : []),
            { label: 'Leave room…', danger: true, onChoose: () => setDialog('leave') },
            ...(mayChange ? [{ label: 'End room…', danger: true, onChoose: () => setDialog('end') }] : []),
          ]}
        />
      )}
      {dialog === 'edit' && <EditRoomDialog room={room} onClose={() => setDialog(undefined)} />}
      {dialog === 'end' && <EndRoomDialog room={room} onClose={() => setDialog(undefined)} />}
      {dialog === 'leave' && <LeaveDialog room={room} onClose={() => setDialog(undefined)} />}
      {dialog === 'name' && <NameDialog room={room} onClose={() => setDialog(undefined)} />}
    </header>
  );
}

/** Below this time, the header counts the seconds until the end, in milliseconds. */
const NEAR_MS = 60 * 60_000;

function When({ room }: { room: MyRoom }) {
  const now = useNow(1_000);
  const { status, start_time, end_time } = room;
  if (status === 'booked') return <>Starts {moment(start_time)}</>;
  if (status === 'ended') return <>Ended {end_time && moment(end_time)}</>;
  if (!end_time) return <>Since {moment(start_time)}</>;
  if (Date.parse(end_time) - now > NEAR_MS) return <>Ends {moment(end_time)}</>;
  return (
    <span class="countdown" role="timer">
      <ClockIcon />
      Ends in {countdown(end_time, now)}
    </span>
  );
}
