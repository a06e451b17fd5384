import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Attachment, Message } from '../../../client/src/index.ts';
import { useSession } from '../session/user-session.ts';
import { FileIcon } from '../ui/icons.tsx';
import { Avatar } from '../ui/small.tsx';
import { clock, fileSize } from '../ui/text.ts';
import { LinkedText } from '../ui/user-text.tsx';
import { isPicture, type RoomSession } from './session.ts';
import type { Outgoing } from './state.ts';

/** A bubble, and whose it is. */
function Bubble({
  sender,
  own,
  goesOn,
  state = 'sent',
  children,
  below,
}: {
  sender: { readonly id: string; readonly name: string };
  own: boolean;
  /** The one above is of the same sender. */
  goesOn: boolean;
  state?: 'sent' | 'pending' | 'failed';
  children: ComponentChildren;
  below: ComponentChildren;
}) {
  return (
    <article class={`message ${own ? 'own' : ''} ${goesOn ? 'goes-on' : ''} ${state}`} data-state={state}>
      {!own && (goesOn ? <span class="avatar-space" /> : <Avatar id={sender.id} name={sender.name} />)}
      <div class="message-body">
        {!own && !goesOn && (
          <p class="sender small two-lines" title={sender.name} dir="auto">
            {sender.name}
          </p>
        )}
        {(own || goesOn) && <span class="visually-hidden">{own ? 'You' : sender.name}:</span>}
        <div class="bubble">{children}</div>
        <p class="message-foot muted small">{below}</p>
      </div>
    </article>
  );
}

export function MessageLine({
  session,
  message,
  name,
  own,
  goesOn,
  onOpenPicture,
}: {
  session: RoomSession;
  message: Message;
  name: string;
  own: boolean;
  goesOn: boolean;
  onOpenPicture: (message: Message) => void;
}) {
  return (
    <Bubble
      sender={{ id: message.sender_id, name }}
      own={own}
      goesOn={goesOn}
      below={
        <span>
          <time dateTime={message.sent_at}>{clock(message.sent_at)}</time>
          {own && ' · Sent'}
        </span>
      }
    >
      {message.attachment && (
        <AttachedFile
          session={session}
          message={message}
          attachment={message.attachment}
          onOpen={() => onOpenPicture(message)}
        />
      )}
      {message.text !== null && (
        <p class="text" dir="auto">
          <LinkedText text={message.text} />
        </p>
      )}
    </Bubble>
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
  const { client_message_id: id, file, fileName, file_id, failure, loaded } = outgoing;
  const uploading = file !== undefined && file_id === undefined;
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
            {(!fileName || file || file_id) && (
              <button type="button" class="link" onClick={() => session.retry(id)}>
                Retry
              </button>
            )}
            <button type="button" class="link" onClick={() => session.discard(id)}>
              Discard
            </button>
          </>
        ) : uploading ? (
          <>
            <span>
              {fileSize(loaded)} of {fileSize(file.size)}
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
      {!file && fileName && <FileFacts name={fileName} />}
      {file && (
        <>
          <LocalFile file={file} />
          {!failure && (
            <progress aria-label={`Uploading ${file.name}`} max={file.size} value={file_id ? file.size : loaded} />
          )}
        </>
      )}
      {outgoing.text && (
        <p class="text" dir="auto">
          {outgoing.text}
        </p>
      )}
    </Bubble>
  );
}

/** A file of this machine, on its way. */
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

/** Saves the file of a message on this machine. */
export const saveFile = async (session: RoomSession, message: Message): Promise<void> =>
  saveFrom(await session.fileUrl(message), message.attachment?.name ?? '');

/** The browser saves the file under its own name: the storage answers with it as an attachment. */
function saveFrom(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.rel = 'noreferrer';
  link.click();
}

function AttachedFile({
  session,
  message,
  attachment,
  onOpen,
}: {
  session: RoomSession;
  message: Message;
  attachment: Attachment;
  onOpen: () => void;
}) {
  const { attempt } = useSession();
  const { name, size, content_type } = attachment;
  if (isPicture(content_type))
    return (
      <button type="button" class="attachment" title={name} onClick={onOpen}>
        <span class="visually-hidden">Open the picture</span>
        <Picture session={session} message={message} name={name} size={size} />
      </button>
    );
  return (
    <button type="button" class="attachment" onClick={() => void attempt(() => saveFile(session, message))}>
      <span class="visually-hidden">Download</span>
      <FileFacts name={name} size={size} />
    </button>
  );
}

/** A picture, fetched when it comes near to being seen. */
function Picture({
  session,
  message,
  name,
  size,
}: {
  session: RoomSession;
  message: Message;
  name: string;
  size: number;
}) {
  const place = useRef<HTMLSpanElement>(null);
  const [url, setUrl] = useState<string>();
  const [failed, setFailed] = useState(false);
  const near = useNear(place);
  const { message_id } = message;
  const load = useMemo(() => () => session.fileUrl(message), [session, message_id]);
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
