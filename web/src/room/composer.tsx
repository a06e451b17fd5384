import type { RefObject } from 'preact';
import { useId, useImperativeHandle, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { MAX_MESSAGE_LENGTH } from '../../../client/src/index.ts';
import { showRoom } from '../room-url.ts';
import type { Draft } from '../session/drafts.ts';
import { fileProblem, MAX_FILES } from '../session/file-limits.ts';
import { useSession } from '../session/user-session.ts';
import { useStore } from '../store.ts';
import { AttachIcon, CloseIcon, SendIcon } from '../ui/icons.tsx';
import { asSentence, fileSize, moment } from '../ui/text.ts';
import { excerpt } from './message-line.tsx';
import type { RoomSession } from './session.ts';
import { type RoomState, readOnlyReason, senderName } from './state.ts';
import { TypingLine } from './typing-line.tsx';

export interface ComposerHandle {
  /** Adds files to the message that is being written, and shows which files cannot be sent and why. */
  attach(files: readonly File[]): void;
}

/** The page shows the number of remaining characters below this value. */
const COUNT_BELOW = 500;

/** A pasted or dropped text that is too long for one message. */
interface TooLong {
  readonly text: string;
  /** The replaced range of the field's text, in characters. */
  readonly from: number;
  readonly to: number;
}

/** The form for new messages, or the reason why the user cannot write. */
export function Composer({
  handle,
  session,
  state,
  listed,
}: {
  handle: RefObject<ComposerHandle | null>;
  session: RoomSession;
  state: RoomState;
  /** Whether the user's list contains the room. */
  listed: boolean;
}) {
  const { drafts } = useSession();
  const { roomId } = session;
  const { standing } = state;
  const reply = useStore(session.reply);
  const readOnly = standing.is === 'joined' ? readOnlyReason(state.room) : undefined;
  const id = useId();
  const [draft, setDraft] = useState(() => drafts.get(roomId));
  const [problems, setProblems] = useState<readonly string[]>([]);
  const [tooLong, setTooLong] = useState<TooLong>();
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const ready = standing.is === 'joined';
  const { text, files } = draft;
  const change = (next: Draft): void => {
    setDraft(next);
    drafts.set(roomId, next);
  };
  const attach = (added: readonly File[]): void => {
    const { text: written, files: staged } = drafts.get(roomId);
    const found = added.flatMap((file) => fileProblem(file) ?? []);
    const usable = added.filter((file) => fileProblem(file) === undefined);
    const room = MAX_FILES - staged.length;
    if (usable.length > room)
      found.push(`A message can have at most ${MAX_FILES} files; ${usable.length - room} were not added.`);
    setProblems(found);
    change({ text: written, files: [...staged, ...usable.slice(0, room)] });
    field.current?.focus();
  };
  useImperativeHandle(handle, () => ({ attach }), [roomId]);

  // Focuses the message field when the room opens, unless the user has focused something else. Not on phones, where the keyboard
  // would cover the messages.
  useLayoutEffect(() => {
    if (ready && matchMedia('(hover: hover)').matches && !document.querySelector('dialog[open], .menu[open]'))
      field.current?.focus();
  }, [ready]);

  const empty = text.trim() === '' && files.length === 0;

  function send(): void {
    if (!ready || empty) return;
    session.send(text.trim(), files);
    change({ text: '', files: [] });
    setProblems([]);
    setTooLong(undefined);
    field.current?.focus();
  }

  /** Offers a choice for a pasted text that is too long. Otherwise, the field would cut it off silently. */
  function checkLength(event: InputEvent & { readonly currentTarget: HTMLTextAreaElement }): void {
    const { selectionStart: from, selectionEnd: to, value } = event.currentTarget;
    const inserted = event.data ?? event.dataTransfer?.getData('text/plain') ?? '';
    if (inserted.length < 2 || value.length - (to - from) + inserted.length <= MAX_MESSAGE_LENGTH) return;
    event.preventDefault();
    setTooLong({ text: inserted, from, to });
  }

  // Focuses the message field when the user chooses to reply.
  const replyTo = reply?.message_id;
  useLayoutEffect(() => {
    if (replyTo !== undefined) field.current?.focus();
  }, [replyTo]);

  if (readOnly !== undefined || (standing.is !== 'joined' && standing.is !== 'joining'))
    return (
      <Closed
        session={session}
        state={state}
        listed={listed}
        readOnly={readOnly}
        draft={text}
        onDiscard={() => change({ text: '', files })}
      />
    );
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <TypingLine roomId={roomId} />
      {reply && (
        <div class="composer-note reply">
          <p class="grow">
            Reply to <bdi>{senderName(state, reply)}</bdi>: <span dir="auto">{excerpt(reply)}</span>
          </p>
          <button
            type="button"
            class="button quiet square tiny"
            aria-label="Do not reply"
            onClick={() => {
              session.reply.update(() => undefined);
              field.current?.focus();
            }}
          >
            <CloseIcon />
          </button>
        </div>
      )}
      {files.length > 0 && (
        <ul class="staged" aria-label="Files to send">
          {files.map((file, index) => (
            <li key={index} class="staged-file">
              <span class="ellipsis" title={file.name} dir="auto">
                {file.name}
              </span>
              <span class="muted small">{fileSize(file.size)}</span>
              <button
                type="button"
                class="button quiet square tiny"
                aria-label={`Remove ${file.name}`}
                onClick={() => change({ text, files: files.filter((_, other) => other !== index) })}
              >
                <CloseIcon />
              </button>
            </li>
          ))}
        </ul>
      )}
      {problems.length > 0 && (
        <div class="composer-note" role="alert">
          <ul class="grow">
            {problems.map((problem) => (
              <li key={problem} dir="auto">
                {problem}
              </li>
            ))}
          </ul>
          <button type="button" class="button quiet square tiny" aria-label="Dismiss" onClick={() => setProblems([])}>
            <CloseIcon />
          </button>
        </div>
      )}
      {tooLong && (
        <TooLongNote
          tooLong={tooLong}
          room={MAX_MESSAGE_LENGTH - (text.length - (tooLong.to - tooLong.from))}
          onAttach={() => {
            setTooLong(undefined);
            attach([new File([tooLong.text], 'pasted text.txt', { type: 'text/plain' })]);
          }}
          onCut={(length) => {
            const cut = tooLong.text.slice(0, length);
            change({ text: text.slice(0, tooLong.from) + cut + text.slice(tooLong.to), files });
            setTooLong(undefined);
            field.current?.focus();
          }}
          onClose={() => {
            setTooLong(undefined);
            field.current?.focus();
          }}
        />
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
            attach([...(currentTarget.files ?? [])]);
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
            dir="auto"
            placeholder={ready ? 'Write a message' : 'Joining…'}
            maxLength={MAX_MESSAGE_LENGTH}
            value={text}
            onBeforeInput={checkLength}
            onInput={({ currentTarget }) => {
              session.setTyping(currentTarget.value !== '');
              change({ text: currentTarget.value, files });
            }}
            onKeyDown={(event) => {
              if (event.key === 'Escape' && reply) session.reply.update(() => undefined);
              // During IME composition, Enter confirms the character and does not send.
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
              event.preventDefault();
              send();
            }}
            onPaste={(event) => {
              const pasted = [...(event.clipboardData?.files ?? [])];
              if (pasted.length === 0 || !ready) return;
              event.preventDefault();
              attach(pasted);
            }}
          />
        </div>
        <button type="submit" class="button primary square" aria-label="Send" title="Send" disabled={!ready || empty}>
          <SendIcon />
        </button>
      </div>
      {MAX_MESSAGE_LENGTH - text.length <= COUNT_BELOW && (
        <p class="muted small count" role="status">
          {(MAX_MESSAGE_LENGTH - text.length).toLocaleString()} characters left
        </p>
      )}
    </form>
  );
}

/** Reports that a pasted text is too long, and offers to attach it as a file or to paste the first part. */
function TooLongNote({
  tooLong,
  room,
  onAttach,
  onCut,
  onClose,
}: {
  tooLong: TooLong;
  /** Number of remaining characters. */
  room: number;
  onAttach: () => void;
  onCut: (length: number) => void;
  onClose: () => void;
}) {
  // Does not split a surrogate pair.
  const length = /[\ud800-\udbff]$/.test(tooLong.text.slice(0, room)) ? room - 1 : room;
  return (
    <div class="composer-note" role="alert">
      <p class="grow">
        The text has {tooLong.text.length.toLocaleString()} characters; a message takes{' '}
        {MAX_MESSAGE_LENGTH.toLocaleString()}.
      </p>
      <span class="row wrap">
        <button type="button" class="button small primary" onClick={onAttach}>
          Attach it as a file
        </button>
        {length > 0 && (
          <button type="button" class="button small" onClick={() => onCut(length)}>
            Paste the first {length.toLocaleString()}
          </button>
        )}
        <button type="button" class="button small" onClick={onClose}>
          Cancel
        </button>
      </span>
    </div>
  );
}

/** Shows why the user cannot write, and the unsent draft. */
function Closed({
  session,
  state: { standing, room },
  listed,
  readOnly,
  draft,
  onDiscard,
}: {
  session: RoomSession;
  state: RoomState;
  listed: boolean;
  readOnly: string | undefined;
  draft: string;
  onDiscard: () => void;
}) {
  return (
    <div class="closed">
      {readOnly && <p role="status">{readOnly}</p>}
      {standing.is === 'booked' && <p>You can write here from {room && moment(room.start_time)} on.</p>}
      {standing.is === 'ended' && (
        <p>
          <strong>This room has ended.</strong>{' '}
          {room?.end_reason && (
            <>
              <bdi>{asSentence(room.end_reason)}</bdi>{' '}
            </>
          )}
          You can still read the messages.
        </p>
      )}
      {standing.is === 'removed' && (
        <>
          <p>
            <strong>You were removed from this room.</strong> It opens again when an admin adds you.
          </p>
          {listed ? (
            <button type="button" class="button" onClick={() => session.enter()}>
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
          <button type="button" class="button" onClick={() => session.enter()}>
            Try again
          </button>
        </>
      )}
      {draft.trim() !== '' && <UnsentDraft text={draft} onDiscard={onDiscard} />}
    </div>
  );
}

function UnsentDraft({ text, onDiscard }: { text: string; onDiscard: () => void }) {
  const { attempt } = useSession();
  const [copied, setCopied] = useState(false);
  return (
    <div class="unsent">
      <p class="muted small">You had not sent this:</p>
      <p class="text" dir="auto">
        {text}
      </p>
      <div class="row">
        <button
          type="button"
          class="button small"
          onClick={() =>
            void attempt(async () => {
              await navigator.clipboard.writeText(text);
              setCopied(true);
            })
          }
        >
          {copied ? 'Copied' : 'Copy'}
        </button>
        <button type="button" class="button small" onClick={onDiscard}>
          Discard
        </button>
      </div>
    </div>
  );
}
