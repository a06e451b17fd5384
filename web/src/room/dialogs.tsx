import { useId, useState } from 'preact/hooks';
import type { ListedParticipant, MyRoom } from '../../../client/src/index.ts';
import { useRoom } from '../../../client/src/react/index.ts';
import { endProblem } from '../list/end-problem.ts';
import { announcementsOf, RoomFields, timeOf } from '../list/room-fields.tsx';
import { UserChips } from '../list/user-chips.tsx';
import { showRoom } from '../room-url.ts';
import { useSession } from '../session/user-session.ts';
import { SUGGESTED_USERS } from '../sign-in.tsx';
import { FormDialog, textOf } from '../ui/dialog.tsx';
import { useNow } from '../ui/small.tsx';
import { moment, userIds, userIdsProblem, wholeNumber } from '../ui/text.ts';

interface DialogProps {
  readonly room: MyRoom;
  readonly onClose: () => void;
}

export function EditRoomDialog({ room, onClose }: DialogProps) {
  const { client } = useSession();
  return (
    <FormDialog
      title="Edit room"
      submit="Save"
      onClose={onClose}
      onSubmit={async (data) => {
        const name = textOf(data, 'name');
        const description = textOf(data, 'description') || null;
        const end_time = timeOf(data, 'end_time', room.end_time);
        const start_time = timeOf(data, 'start_time', room.start_time);
        const problem = end_time === room.end_time ? undefined : endProblem(end_time, Date.now());
        if (problem) throw new Error(problem);
        const announcements = announcementsOf(data, room);
        const changes = {
          ...(announcements && { announcements }),
          ...(name !== room.name && { name }),
          ...(description !== room.description && { description }),
          ...(end_time !== room.end_time && { end_time }),
          ...(start_time && start_time !== room.start_time && { start_time }),
        };
        if (Object.keys(changes).length > 0) await client.updateRoom(room.room_id, changes);
      }}
    >
      <RoomFields room={room} />
    </FormDialog>
  );
}

/** Maximum number of minutes until the end: one year. */
const MAX_MINUTES = 525_600;

export function EndRoomDialog({ room, onClose }: DialogProps) {
  const { client } = useSession();
  const id = useId();
  const [later, setLater] = useState(false);
  const [minutesText, setMinutesText] = useState('5');
  const minutes = wholeNumber(minutesText);
  const isUsable = minutes !== undefined && minutes >= 1 && minutes <= MAX_MINUTES;
  const now = useNow(1_000);
  return (
    <FormDialog
      title={`End “${room.name}”?`}
      submit={later ? 'Set the end' : 'End room now'}
      danger
      onClose={onClose}
      onSubmit={(data) => {
        const reason = textOf(data, 'reason').trim();
        // An empty field must not send a request, because a request without a time ends the room at once.
        if (later && !isUsable)
          throw new Error(`Enter the minutes until the end: a whole number from 1 to ${MAX_MINUTES}.`);
        return client.endRoom(room.room_id, {
          ...(later && isUsable && { time_left_in_seconds: minutes * 60 }),
          ...(reason && { reason }),
        });
      }}
    >
      <p>
        Everybody in the room sees it at once. Participants can still read the messages, but an ended room cannot be
        started again.
      </p>
      <fieldset class="field">
        <legend>When</legend>
        <label class="choice">
          <input type="radio" name="when" value="now" checked={!later} onChange={() => setLater(false)} />
          Now
        </label>
        <div class="choice">
          <label class="choice">
            <input type="radio" name="when" value="later" checked={later} onChange={() => setLater(true)} />
            In
          </label>
          <input
            name="minutes"
            class="minutes"
            type="number"
            required
            min="1"
            max={MAX_MINUTES}
            step="1"
            inputMode="numeric"
            value={minutesText}
            onInput={({ currentTarget }) => setMinutesText(currentTarget.value)}
            disabled={!later}
            aria-label="Minutes until the room ends"
          />
          <span>
            minutes
            {later && isUsable && (
              <span class="muted">, at {moment(new Date(now + minutes * 60_000).toISOString())}</span>
            )}
          </span>
        </div>
      </fieldset>
      <div class="field">
        <label for={id}>
          Reason <span class="muted">(optional)</span>
        </label>
        <input id={id} name="reason" maxLength={500} autocomplete="off" dir="auto" />
      </div>
    </FormDialog>
  );
}

export function NameDialog({ room, onClose }: DialogProps) {
  const { client } = useSession();
  const id = useId();
  return (
    <FormDialog
      title="Your name in this room"
      submit="Save"
      onClose={onClose}
      onSubmit={(data) => client.updateProfile(room.room_id, { username: textOf(data, 'username').trim() || null })}
    >
      <div class="field">
        <label for={id}>Name</label>
        <input
          id={id}
          name="username"
          maxLength={100}
          autocomplete="off"
          dir="auto"
          defaultValue={room.username ?? ''}
          autofocus
        />
        <p class="hint">Empty: your user ID</p>
      </div>
    </FormDialog>
  );
}

export function InviteDialog({ room, people, onClose }: DialogProps & { people: readonly ListedParticipant[] }) {
  const { client } = useSession();
  const id = useId();
  const here = new Set(people.map(({ participant_id }) => participant_id));
  return (
    <FormDialog
      title="Add people"
      submit="Add"
      onClose={onClose}
      onSubmit={async (data) => {
        const ids = userIds(textOf(data, 'participants'));
        const problem = ids.length === 0 ? 'Enter at least one user ID.' : userIdsProblem(ids);
        if (problem) throw new Error(problem);
        await client.addParticipants(room.room_id, ids);
      }}
    >
      <div class="field">
        <label for={id}>User IDs</label>
        <input
          id={id}
          name="participants"
          required
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          autofocus
        />
        <UserChips input={id} users={SUGGESTED_USERS.filter((user) => !here.has(user))} />
        <p class="hint">Separated by commas, up to 50 at a time</p>
      </div>
    </FormDialog>
  );
}

export function RemoveDialog({ room, onClose, person }: DialogProps & { person: ListedParticipant }) {
  const { client, userId } = useSession();
  if (person.participant_id === userId) return <LeaveDialog room={room} onClose={onClose} />;
  return (
    <FormDialog
      title={`Remove ${person.username ?? person.participant_id}?`}
      submit="Remove"
      danger
      onClose={onClose}
      onSubmit={() => client.removeParticipants(room.room_id, [person.participant_id])}
    >
      <p>They can no longer read or write here. You can add them again.</p>
    </FormDialog>
  );
}

export function LeaveDialog({ room, onClose }: DialogProps) {
  const { rooms } = useSession();
  const { leave } = useRoom(room.room_id);
  const leaveForGood = async (): Promise<void> => {
    await leave();
    showRoom(undefined);
    void rooms.refresh();
  };
  return (
    <FormDialog title={`Leave “${room.name}”?`} submit="Leave" danger onClose={onClose} onSubmit={leaveForGood}>
      <p>You can no longer read or write here. An admin can add you again.</p>
    </FormDialog>
  );
}
