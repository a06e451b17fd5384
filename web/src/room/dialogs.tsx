import { useId, useState } from 'preact/hooks';
import type { ListedParticipant, MyRoom } from '../../../client/src/index.ts';
import { RoomFields, timeOf } from '../list/room-fields.tsx';
import { UserChips } from '../list/user-chips.tsx';
import { useSession } from '../session/user-session.ts';
import { SUGGESTED_USERS } from '../sign-in.tsx';
import { FormDialog, textOf } from '../ui/dialog.tsx';
import { userIds } from '../ui/text.ts';

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
        const changes = {
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

export function EndRoomDialog({ room, onClose }: DialogProps) {
  const { client } = useSession();
  const id = useId();
  const [later, setLater] = useState(false);
  return (
    <FormDialog
      title={`End “${room.name}”?`}
      submit={later ? 'Set the end' : 'End room'}
      danger
      onClose={onClose}
      onSubmit={(data) => {
        const reason = textOf(data, 'reason').trim();
        return client.endRoom(room.room_id, {
          ...(later && { time_left_in_seconds: Math.round(Number(textOf(data, 'minutes')) * 60) }),
          ...(reason && { reason }),
        });
      }}
    >
      <p>Everybody is told at once. What was said can still be read, but an ended room cannot be started again.</p>
      <fieldset class="field">
        <legend>When</legend>
        <label class="choice">
          <input type="radio" name="when" value="now" checked={!later} onChange={() => setLater(false)} />
          Now
        </label>
        <label class="choice">
          <input type="radio" name="when" value="later" checked={later} onChange={() => setLater(true)} />
          In
          <input
            name="minutes"
            class="minutes"
            type="number"
            min="0.1"
            max="525600"
            step="any"
            defaultValue="5"
            disabled={!later}
            aria-label="Minutes until the room ends"
          />
          minutes
        </label>
      </fieldset>
      <div class="field">
        <label for={id}>
          Reason <span class="muted">(optional)</span>
        </label>
        <input id={id} name="reason" maxLength={500} autocomplete="off" />
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
        <input id={id} name="username" maxLength={100} autocomplete="off" defaultValue={room.username ?? ''} />
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
      onSubmit={(data) => client.addParticipants(room.room_id, userIds(textOf(data, 'participants')))}
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
  const { client } = useSession();
  const name = person.username ?? person.participant_id;
  return (
    <FormDialog
      title={`Remove ${name}?`}
      submit="Remove"
      danger
      onClose={onClose}
      onSubmit={() => client.removeParticipants(room.room_id, [person.participant_id])}
    >
      <p>They are told at once and can no longer read or write here. You can add them again.</p>
    </FormDialog>
  );
}
