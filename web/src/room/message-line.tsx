import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Attachment, MAX_MESSAGE_LENGTH, type Message } from '../../../client/src/index.ts';
import { seenBy, useParticipants } from '../../../client/src/react/index.ts';
import { useSession } from '../session/user-session.ts';
import { FormDialog } from '../ui/dialog.tsx';
import { FileIcon } from '../ui/icons.tsx';
import { Menu, type MenuItem } from '../ui/menu.tsx';
import { Avatar } from '../ui/small.tsx';
import { clock, fileSize } from '../ui/text.ts';
import { LinkedText } from '../ui/user-text.tsx';
import { isPicture, type RoomSession } from './session.ts';
import { nameOf, type Outgoing, type RoomState, readOnlyReason, senderName } from './state.ts';
import { lostFile } from './waiting-messages.ts';

/** A message with its sender. */
function Bubble({
  id,
  sender,
  own,
  goesOn,
  state = 'sent',
  actions,
  children,
  below,
}: {
  id?: string;
  sender: { readonly id: string; readonly name: string };
  own: boolean;
  /** Whether the previous message has the same sender. */
  goesOn: boolean;
  state?: 'sent' | 'pending' | 'failed';
  actions?: ComponentChildren;
  children: ComponentChildren;
  below: ComponentChildren;
}) {
  return (
    <article id={id} class={`message ${own ? 'own' : ''} ${goesOn ? 'goes-on' : ''} ${state}`} data-state={state}>
      {!own && (goesOn ? <span class="avatar-space" /> : <Avatar id={sender.id} name={sender.name} />)}
      <div class="message-body">
        {!own && !goesOn && (
          <p class="sender small two-lines" title={sender.name} dir="auto">
            {sender.name}
          </p>
        )}
        {(own || goesOn) && <span class="visually-hidden">{own ? 'You' : sender.name}:</span>}
        <div class="bubble-row">
          <div class="bubble">{children}</div>
          {actions}
        </div>
        <p class="message-foot muted small">{below}</p>
      </div>
    </article>
  );
}

export function MessageLine({
  session,
  message,
  state,
  own,
  goesOn,
  isLastOwn,
  onOpenPicture,
}: {
  session: RoomSession;
  message: Message;
  state: RoomState;
  own: boolean;
  goesOn: boolean;
  /** Whether this is the user's newest message, which shows who has read it. */
  isLastOwn: boolean;
  onOpenPicture: (picture: Attachment) => void;
}) {
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const { room, standing } = state;
  const isDeleted = message.deleted_at !== null;
  const mayWrite = standing.is === 'joined' && !readOnlyReason(room);
  const name = senderName(state, message);
  const actions: MenuItem[] = [
    ...(mayWrite ? [{ label: 'Reply', onChoose: () => session.reply.update(() => message) }] : []),
    ...(mayWrite && own && message.text !== null ? [{ label: 'Edit', onChoose: () => setEditing(true) }] : []),
    ...((own && standing.is === 'joined') || (room?.is_admin && standing.is !== 'removed')
      ? [{ label: 'Delete…', danger: true, onChoose: () => setDeleting(true) }]
      : []),
  ];
  return (
    <Bubble
      id={`message-${message.message_id}`}
      sender={{ id: message.sender_id, name }}
      own={own}
      goesOn={goesOn}
      actions={!isDeleted && !editing && actions.length > 0 && <Menu label="Message actions" items={actions} />}
      below={
        <span>
          <time dateTime={message.sent_at}>{clock(message.sent_at)}</time>
          {message.edited_at && !isDeleted && ' · Edited'}
          {own && ' · Sent'}
          {isLastOwn && <SeenBy message={message} />}
        </span>
      }
    >
      {message.reply_to !== null && !isDeleted && <Quote id={message.reply_to} state={state} />}
      {message.attachments.map((attachment) => (
        <AttachedFile
          key={attachment.file_id}
          session={session}
          attachment={attachment}
          onOpen={() => onOpenPicture(attachment)}
        />
      ))}
      {isDeleted && <p class="muted deleted">{deletedText(message, state)}</p>}
      {editing && <EditField session={session} message={message} onClose={() => setEditing(false)} />}
      {message.text !== null && !editing && (
        <p class="text" dir="auto">
          <LinkedText text={message.text} />
        </p>
      )}
      {deleting && (
        <FormDialog
          title="Delete this message?"
          submit="Delete"
          danger
          onClose={() => setDeleting(false)}
          onSubmit={() => session.remove(message)}
        >
          <p>Its text and files are removed for everybody. A note that it was deleted remains.</p>
        </FormDialog>
      )}
    </Bubble>
  );
}

function deletedText({ sender_id, deleted_by }: Message, state: RoomState): string {
  if (deleted_by === null || deleted_by === sender_id) return 'This message was deleted.';
  return `This message was deleted by ${nameOf(state, deleted_by)}.`;
}

/** The message that this one replies to. A click scrolls to it if it is loaded. */
function Quote({ id, state }: { id: string; state: RoomState }) {
  const original = state.messages.find(({ message_id }) => message_id === id);
  if (!original) return <p class="quote muted small">Reply to an earlier message</p>;
  return (
    <button
      type="button"
      class="quote small"
      onClick={() => document.getElementById(`message-${id}`)?.scrollIntoView({ block: 'center' })}
    >
      <span class="visually-hidden">Reply to </span>
      <strong dir="auto">{senderName(state, original)}</strong>
      <span class="two-lines" dir="auto">
        {excerpt(original)}
      </span>
    </button>
  );
}

/** Returns the text of a message or, without a text, the name of its file. */
export const excerpt = ({ deleted_at, text, attachments }: Message): string =>
  deleted_at !== null ? 'This message was deleted.' : (text ?? attachments[0]?.name ?? '');

/** The form to edit a message. Enter saves, and Escape cancels. */
function EditField({ session, message, onClose }: { session: RoomSession; message: Message; onClose: () => void }) {
  const { attempt } = useSession();
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(message.text ?? '');
  const [busy, setBusy] = useState(false);
  useEffect(() => field.current?.focus(), []);
  const save = async (): Promise<void> => {
    const changed = text.trim();
    if (busy || !changed) return;
    if (changed === message.text) return onClose();
    setBusy(true);
    if (await attempt(() => session.edit(message, changed))) onClose();
    else setBusy(false);
  };
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea
        ref={field}
        rows={2}
        dir="auto"
        aria-label="Edit message"
        maxLength={MAX_MESSAGE_LENGTH}
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onClose();
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void save();
        }}
      />
      <span class="row">
        <button type="submit" class="button small primary" disabled={busy || text.trim() === ''}>
          Save
        </button>
        <button type="button" class="button small" onClick={onClose}>
          Cancel
        </button>
      </span>
    </form>
  );
}

/** Interval between reads of the read marks until all others have read the user's newest message, in milliseconds. */
const SEEN_MS = 10_000;
/** Maximum number of participants. In larger rooms, read marks are not shown. */
const MAX_SEEN = 100;

function SeenBy({ message }: { message: Message }) {
  const [isComplete, setIsComplete] = useState(false);
  const { participants } = useParticipants(message.room_id, { refreshMs: isComplete ? undefined : SEEN_MS });
  const seen = seenBy(participants, message);
  const isAll = participants.length > MAX_SEEN || seen.length >= participants.length - 1;
  useEffect(() => setIsComplete(isAll), [isAll]);
  if (seen.length === 0 || participants.length > MAX_SEEN) return null;
  const names = seen.map(({ username, participant_id }) => username ?? participant_id);
  return (
    <>
      {' · Seen by '}
      <bdi>{names.slice(0, 3).join(', ')}</bdi>
      {names.length > 3 && ` and ${names.length - 3} more`}
    </>
  );
}

export function OutgoingLine({
  session,
  outgoing,
  goesOn,
}: {
  session: RoomSession;
  outgoing: Outgoing;
  goesOn: boolean;
}) {
  const { userId } = useSession();
  const { client_message_id: id, files, failure } = outgoing;
  const uploading = files.filter(({ file, file_id }) => file !== undefined && file_id === undefined);
  const [loaded, size] = [
    files.reduce((sum, file) => sum + (file.file_id === undefined ? file.loaded : file.size), 0),
    files.reduce((sum, file) => sum + file.size, 0),
  ];
  return (
    <Bubble
      sender={{ id: userId, name: userId }}
      own
      goesOn={goesOn}
      state={failure ? 'failed' : 'pending'}
      below={
        failure ? (
          <>
            <span class="failure" role="alert" dir="auto">
              Not sent. {failure}
            </span>
            {!lostFile(files) && (
              <button type="button" class="link" onClick={() => session.retry(id)}>
                Retry
              </button>
            )}
            <button type="button" class="link" onClick={() => session.discard(id)}>
              Discard
            </button>
          </>
        ) : uploading.length > 0 ? (
          <>
            <span>
              {fileSize(loaded)} of {fileSize(size)}
            </span>
            <button type="button" class="link" onClick={() => session.discard(id)}>
              Cancel
            </button>
          </>
        ) : (
          'Sending…'
        )
      }
    >
      {files.map(({ name, size, file, file_id, loaded }, index) => (
        <div key={index}>
          {file ? <LocalFile file={file} /> : <FileFacts name={name} />}
          {file && !failure && <progress aria-label={`Uploading ${name}`} max={size} value={file_id ? size : loaded} />}
        </div>
      ))}
      {outgoing.text && (
        <p class="text" dir="auto">
          {outgoing.text}
        </p>
      )}
    </Bubble>
  );
}

/** A file that is being uploaded. */
export function LocalFile({ file }: { file: File }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (!isPicture(file.type)) return;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  if (isPicture(file.type)) return <div class="picture">{url && <img src={url} alt={file.name} />}</div>;
  return <FileFacts name={file.name} size={file.size} />;
}

const FileFacts = ({ name, size }: { name: string; size?: number }) => (
  <span class="file">
    <FileIcon />
    <span class="file-name two-lines" title={name} dir="auto">
      {name}
    </span>
    {size !== undefined && <span class="muted small">{fileSize(size)}</span>}
  </span>
);

/** Downloads a file. */
export const saveFile = async (session: RoomSession, attachment: Attachment): Promise<void> =>
  saveFrom(await session.fileUrl(attachment), attachment.name);

/** Starts a download. The storage's response contains the file name. */
function saveFrom(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.rel = 'noreferrer';
  link.click();
}

function AttachedFile({
  session,
  attachment,
  onOpen,
}: {
  session: RoomSession;
  attachment: Attachment;
  onOpen: () => void;
}) {
  const { attempt } = useSession();
  const { name, size, content_type } = attachment;
  if (isPicture(content_type))
    return (
      <button type="button" class="attachment" title={name} onClick={onOpen}>
        <span class="visually-hidden">Open the picture</span>
        <Picture session={session} attachment={attachment} />
      </button>
    );
  return (
    <button type="button" class="attachment" onClick={() => void attempt(() => saveFile(session, attachment))}>
      <span class="visually-hidden">Download</span>
      <FileFacts name={name} size={size} />
    </button>
  );
}

/** A picture that is loaded when it comes near the visible area. */
function Picture({ session, attachment }: { session: RoomSession; attachment: Attachment }) {
  const place = useRef<HTMLSpanElement>(null);
  const [url, setUrl] = useState<string>();
  const [failed, setFailed] = useState(false);
  const near = useNear(place);
  const { file_id, name, size } = attachment;
  const load = useMemo(() => () => session.fileUrl({ file_id }), [session, file_id]);
  useEffect(() => {
    if (!near) return;
    let shown = true;
    load().then(
      (found) => shown && setUrl(found),
      () => shown && setFailed(true),
    );
    return () => {
      shown = false;
    };
  }, [near, load]);
  if (failed) return <FileFacts name={name} size={size} />;
  return (
    <span ref={place} class="picture">
      {url ? <img src={url} alt={name} onError={() => setFailed(true)} /> : <span class="visually-hidden">{name}</span>}
    </span>
  );
}

function useNear(place: { current: HTMLElement | null }): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    if (near || !place.current) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) setNear(true);
      },
      { rootMargin: '300px' },
    );
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [near, place]);
  return near;
}
