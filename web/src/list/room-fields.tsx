import { useId } from 'preact/hooks';
import type { Room } from '../../../client/src/index.ts';
import { textOf } from '../ui/dialog.tsx';

/** Name, description and times of a room, in a form; `room` gives what they are now. */
export function RoomFields({ room }: { room?: Room }) {
  const id = useId();
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
    </>
  );
}

/** As `<input type="datetime-local">` writes times: in the user's zone, by the minute. */
function localTime(iso: string): string {
  const time = new Date(iso);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What the form says of a time; `before` where that still is the same minute, null where it says nothing. */
export function timeOf(data: FormData, name: string, before?: string | null): string | null {
  const text = textOf(data, name);
  if (!text) return null;
  return before && localTime(before) === text ? before : new Date(text).toISOString();
}
