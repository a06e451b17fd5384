import { useId } from 'preact/hooks';
import type { Announcement, Room } from '../../../client/src/index.ts';
import { textOf } from '../ui/dialog.tsx';

/** Form fields for the name, description and times of a room. `room` has the current values. */
export function RoomFields({ room }: { room?: Room }) {
  const id = useId();
  const announcement = room?.announcements.find(isOwn);
  const booked = !room || room.status === 'booked';
  return (
    <>
      <div class="field">
        <label for={`${id}-name`}>Name</label>
        <input
          id={`${id}-name`}
          name="name"
          required
          maxLength={200}
          dir="auto"
          defaultValue={room?.name ?? ''}
          autocomplete="off"
          autofocus
        />
      </div>
      <div class="field">
        <label for={`${id}-description`}>
          Description <span class="muted">(optional)</span>
        </label>
        <textarea
          id={`${id}-description`}
          name="description"
          rows={2}
          maxLength={2_000}
          dir="auto"
          defaultValue={room?.description ?? ''}
        />
      </div>
      <div class="fields">
        {booked && (
          <div class="field">
            <label for={`${id}-start`}>Starts</label>
            <input
              id={`${id}-start`}
              name="start_time"
              type="datetime-local"
              aria-describedby={room ? undefined : `${id}-start-hint`}
              defaultValue={room ? localTime(room.start_time) : ''}
              required={room !== undefined}
            />
            {!room && (
              <p id={`${id}-start-hint`} class="hint">
                Empty: now
              </p>
            )}
          </div>
        )}
        <div class="field">
          <label for={`${id}-end`}>Ends</label>
          <input
            id={`${id}-end`}
            name="end_time"
            type="datetime-local"
            aria-describedby={`${id}-end-hint`}
            defaultValue={room?.end_time ? localTime(room.end_time) : ''}
          />
          <p id={`${id}-end-hint`} class="hint">
            Empty: when an admin ends it
          </p>
        </div>
      </div>
      <div class="field">
        <label for={`${id}-announcement`}>
          Announcement before the end <span class="muted">(optional)</span>
        </label>
        <input
          id={`${id}-announcement`}
          name="announcement"
          maxLength={1_000}
          dir="auto"
          autocomplete="off"
          defaultValue={announcement?.message ?? ''}
        />
        <label class="choice">
          <input
            name="announcement_minutes"
            class="minutes"
            type="number"
            min="1"
            step="1"
            inputMode="numeric"
            defaultValue={announcement ? -announcement.relative_time_in_seconds / 60 : 10}
          />
          minutes before the end
        </label>
      </div>
    </>
  );
}

/** ID of the announcement that this form edits. Announcements of other programs are not changed. */
const isOwn = ({ announcement_id }: Announcement): boolean => announcement_id === 'before-the-end';

/** Returns the announcements of a room with the one of the form, or undefined if it has not changed. */
export function announcementsOf(data: FormData, room?: Room): readonly Announcement[] | undefined {
  const message = textOf(data, 'announcement').trim();
  const seconds = -60 * Number(textOf(data, 'announcement_minutes') || 10);
  const before = room?.announcements.find(isOwn);
  if (message === (before?.message ?? '') && (!before || before.relative_time_in_seconds === seconds)) return undefined;
  const others = room?.announcements.filter((one) => !isOwn(one)) ?? [];
  if (!message) return others;
  const own: Announcement = {
    announcement_id: 'before-the-end',
    message,
    relative_from: 'end',
    relative_time_in_seconds: seconds,
  };
  return [...others, own];
}

/** Formats a time for `<input type="datetime-local">`: in the user's time zone, with minutes. */
function localTime(iso: string): string {
  const time = new Date(iso);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Returns the time in a field of the form, or null if it is empty. Returns `before` if it is still the same minute, to keep its seconds. */
export function timeOf(data: FormData, name: string, before?: string | null): string | null {
  const text = textOf(data, name);
  if (!text) return null;
  return before && localTime(before) === text ? before : new Date(text).toISOString();
}
