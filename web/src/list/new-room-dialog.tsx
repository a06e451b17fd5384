import { useId } from 'preact/hooks';
import { useSession } from '../session/user-session.ts';
import { SUGGESTED_USERS } from '../sign-in.tsx';
import { FormDialog, textOf } from '../ui/dialog.tsx';
import { userIds, userIdsProblem } from '../ui/text.ts';
import { endProblem } from './end-problem.ts';
import { announcementsOf, RoomFields, timeOf } from './room-fields.tsx';
import { UserChips } from './user-chips.tsx';

export function NewRoomDialog({ onClose, onCreated }: { onClose: () => void; onCreated: (roomId: string) => void }) {
  const { client, userId } = useSession();
  const id = useId();
  return (
    <FormDialog
      title="New room"
      submit="Create room"
      onClose={onClose}
      onSubmit={async (data) => {
        const participant_ids = userIds(textOf(data, 'participants'));
        const problem = userIdsProblem(participant_ids) ?? endProblem(timeOf(data, 'end_time'), Date.now());
        if (problem) throw new Error(problem);
        const announcements = announcementsOf(data);
        const room = await client.createRoom({
          name: textOf(data, 'name'),
          description: textOf(data, 'description') || null,
          start_time: timeOf(data, 'start_time'),
          end_time: timeOf(data, 'end_time'),
          participant_ids,
          ...(announcements && { announcements }),
        });
        onCreated(room.room_id);
      }}
    >
      <RoomFields />
      <div class="field">
        <label for={id}>
          Participants <span class="muted">(optional)</span>
        </label>
        <input id={id} name="participants" autocomplete="off" autocapitalize="none" spellcheck={false} />
        <UserChips input={id} users={SUGGESTED_USERS.filter((user) => user !== userId)} />
        <p class="hint">User IDs, separated by commas. You are added as an admin.</p>
      </div>
    </FormDialog>
  );
}
