import type { RefObject } from 'preact';
import { useId, useImperativeHandle, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { MAX_MESSAGE_LENGTH } from '../../../client/src/index.ts';
import { AttachIcon, CloseIcon, SendIcon } from '../ui/icons.tsx';
import { asSentence, fileSize, moment } from '../ui/text.ts';
import { showRoom } from '../workspace.tsx';
import type { RoomSession } from './session.ts';
import type { RoomState } from './state.ts';

export interface ComposerHandle {
  /** Puts a file beside the text that is being written. */
  attach(file: File): void;
}

/** How near to the limit the count of characters is shown. */
const COUNT_FROM = MAX_MESSAGE_LENGTH - 500;

/** Where messages are written; where none can be, why. */
export function Composer({
  handle,
  session,
  state,
  listed,
}: {
  handle: RefObject<ComposerHandle | null>;
  session: RoomSession;
  state: RoomState;
  /** The room is among the user's rooms, as far as their list tells. */
  listed: boolean;
}) {
  const { standing } = state;
  const id = useId();
  const [text, setText] = useState('');
  const [files, setFiles] = useState<readonly File[]>([]);
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const ready = standing.is === 'joined';
  const attach = (file: File): void => {
    setFiles((all) => [...all, file]);
    field.current?.focus();
  };
  useImperativeHandle(handle, () => ({ attach }), []);

  // Who opens a room wants to write, unless they have begun something else meanwhile. On a phone, the keyboard would cover
  // what one came to read.
  useLayoutEffect(() => {
    if (ready && matchMedia('(hover: hover)').matches && !document.querySelector('dialog[open], .menu[open]'))
      field.current?.focus();
  }, [ready]);

  const empty = text.trim() === '' && files.length === 0;

  function send(): void {
    if (!ready || empty) return;
    const [first, ...others] = files;
    session.send(text.trim(), first);
    for (const file of others) session.send('', file);
    setText('');
    setFiles([]);
    field.current?.focus();
  }

  if (standing.is !== 'joined' && standing.is !== 'joining')
    return <Closed session={session} state={state} listed={listed} />;
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {files.length > 0 && (
        <ul class="staged" aria-label="Files to send">
          {files.map((file, index) => (
            <li key={index} class="staged-file">
              <span class="ellipsis">{file.name}</span>
              <span class="muted small">{fileSize(file.size)}</span>
              <button
                type="button"
                class="button quiet square tiny"
                aria-label={`Take out ${file.name}`}
                onClick={() => setFiles(files.filter((_, other) => other !== index))}
              >
                <CloseIcon />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="composer-row">
        <input
          ref={picker}
          type="file"
          multiple
          class="visually-hidden"
          tabIndex={-1}
          aria-hidden="true"
          onChange={({ currentTarget }) => {
            for (const file of currentTarget.files ?? []) attach(file);
            currentTarget.value = '';
          }}
        />
        <button
          type="button"
          class="button quiet square"
          aria-label="Attach a file"
          title="Attach a file"
          disabled={!ready}
          onClick={() => picker.current?.click()}
        >
          <AttachIcon />
        </button>
        <label class="visually-hidden" for={id}>
          Message
        </label>
        <div class="growing" data-text={text}>
          <textarea
            ref={field}
            id={id}
            rows={1}
            placeholder={ready ? 'Write a message' : 'Joining…'}
            maxLength={MAX_MESSAGE_LENGTH}
            value={text}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
            onKeyDown={(event) => {
              // While a character is being composed, Enter chooses it.
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
              event.preventDefault();
              send();
            }}
            onPaste={(event) => {
              const pasted = [...(event.clipboardData?.files ?? [])];
              if (pasted.length === 0 || !ready) return;
              event.preventDefault();
              for (const file of pasted) attach(file);
            }}
          />
        </div>
        <button type="submit" class="button primary square" aria-label="Send" title="Send" disabled={!ready || empty}>
          <SendIcon />
        </button>
      </div>
      {text.length >= COUNT_FROM && (
        <p class="muted small count" role="status">
          {MAX_MESSAGE_LENGTH - text.length} characters left
        </p>
      )}
    </form>
  );
}

/** Why nothing can be written here. */
function Closed({
  session,
  state: { standing, room },
  listed,
}: {
  session: RoomSession;
  state: RoomState;
  listed: boolean;
}) {
  return (
    <div class="closed">
      {standing.is === 'booked' && <p>You can write here from {room && moment(room.start_time)} on.</p>}
      {standing.is === 'ended' && (
        <p>
          <strong>This room has ended.</strong> {room?.end_reason && `${asSentence(room.end_reason)} `}
          You can still read what was said.
        </p>
      )}
      {standing.is === 'removed' && (
        <>
          <p>
            <strong>You were removed from this room.</strong> An admin can add you again.
          </p>
          {listed ? (
            <button type="button" class="button" onClick={() => void session.enter()}>
              Enter again
            </button>
          ) : (
            <button type="button" class="button" onClick={() => showRoom(undefined)}>
              Back to your rooms
            </button>
          )}
        </>
      )}
      {standing.is === 'failed' && (
        <>
          <p>
            <strong>You are not in this room.</strong> {standing.why}
          </p>
          <button type="button" class="button" onClick={() => void session.enter()}>
            Try again
          </button>
        </>
      )}
    </div>
  );
}
