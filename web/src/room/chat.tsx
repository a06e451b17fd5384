import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Attachment, Message } from '../../../client/src/index.ts';
import { useSession } from '../session/user-session.ts';
import { DownIcon } from '../ui/icons.tsx';
import { PictureViewer } from '../ui/picture-viewer.tsx';
import { Spinner } from '../ui/small.tsx';
import { clock, dayName, moment } from '../ui/text.ts';
import { LinkedText } from '../ui/user-text.tsx';
import { MessageLine, OutgoingLine, saveFile } from './message-line.tsx';
import { isPicture, type RoomSession } from './session.ts';
import { type Line, type Notice, type RoomState, timeline } from './state.ts';

/** Within this distance from the end, the view scrolls to new messages, in pixels. */
const AT_END_PX = 80;

/** The messages of a room. Loads earlier messages when the user scrolls to the first one. */
export function Chat({ session, state }: { session: RoomSession; state: RoomState }) {
  const { userId, unread, attempt } = useSession();
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const top = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [unseen, setUnseen] = useState(0);
  const [viewing, setViewing] = useState<string>();
  const lines = timeline(state, userId);
  const lastOwnLine = lines.findLast((line) => line.kind === 'message' && line.message.sender_id === userId)?.key;
  const first = state.messages[0]?.message_id;
  const count = state.messages.length + state.outbox.length;

  const toEnd = (): void => {
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };

  // Keeps the visible messages in place when earlier messages are inserted above.
  const before = useRef({ first, height: 0 });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const { first: oldFirst, height } = before.current;
    if (oldFirst !== undefined && first !== oldFirst && !atEnd.current)
      element.scrollTop += element.scrollHeight - height;
    before.current = { first, height: element.scrollHeight };
  });

  const last = state.messages.at(-1);
  const lastOwn = state.outbox.at(-1)?.client_message_id;
  const known = useRef(last?.message_id);
  useLayoutEffect(() => {
    if (last && last.message_id !== known.current && last.sender_id !== userId && !atEnd.current)
      setUnseen((number) => number + 1);
    known.current = last?.message_id;
  }, [last?.message_id]);
  // Messages count as read if the page is visible and scrolled to the end.
  const { roomId } = session;
  const lastId = last?.message_id;
  const markRead = (): void => {
    if (lastId !== undefined && atEnd.current && !document.hidden) unread.markRead(roomId, lastId);
  };
  useEffect(() => {
    if (lastId === undefined) return;
    if (last?.sender_id !== userId && document.hidden) unread.markUnread(roomId);
    markRead();
    document.addEventListener('visibilitychange', markRead);
    return () => document.removeEventListener('visibilitychange', markRead);
  }, [lastId, roomId]);
  // Scrolls to the user's own new message.
  useLayoutEffect(() => {
    if (lastOwn !== undefined) toEnd();
  }, [lastOwn]);

  // The content grows when pictures load, and the view shrinks when the message field grows.
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (atEnd.current) toEnd();
    });
    for (const element of [scroller.current, content.current]) if (element) observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const { earlier } = state;
  useEffect(() => {
    if (earlier !== 'more' || !top.current) return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting) void session.loadEarlier();
      },
      { root: scroller.current, rootMargin: '200px 0px 0px 0px' },
    );
    observer.observe(top.current);
    return () => observer.disconnect();
  }, [earlier, session]);

  return (
    <div class="chat">
      <div
        ref={scroller}
        class="chat-scroll"
        role="log"
        aria-live="off"
        aria-label="Messages"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it must be possible to scroll by keyboard
        tabIndex={0}
        onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => {
          atEnd.current = scrollHeight - clientHeight - scrollTop < AT_END_PX;
          if (atEnd.current && unseen > 0) setUnseen(0);
          markRead();
        }}
      >
        <div ref={content} class="chat-content">
          <div ref={top} class="chat-top">
            {earlier === 'loading' && <Spinner label="Loading messages" />}
            {earlier === 'more' && (
              <button type="button" class="button small" onClick={() => void session.loadEarlier()}>
                Show earlier messages
              </button>
            )}
            {earlier === 'failed' && (
              <p class="row">
                <span class="muted">Messages could not be loaded.</span>
                <button type="button" class="button small" onClick={() => void session.loadEarlier()}>
                  Try again
                </button>
              </p>
            )}
            {earlier === 'none' && count > 0 && <p class="muted small">This is the beginning of the room.</p>}
          </div>
          {earlier === 'none' && count === 0 && <NothingYet state={state} />}
          {lines.map((line) => (
            <ChatLine
              key={line.key}
              line={line}
              session={session}
              state={state}
              isLastOwn={line.key === lastOwnLine}
              onOpenPicture={({ file_id }) => setViewing(file_id)}
            />
          ))}
        </div>
      </div>
      {viewing !== undefined && (
        <PictureViewer
          pictures={state.messages
            .flatMap(({ attachments }) => attachments)
            .filter((file) => isPicture(file.content_type))}
          start={viewing}
          load={session.fileUrl}
          onSave={(picture) => void attempt(() => saveFile(session, picture))}
          onClose={() => setViewing(undefined)}
        />
      )}
      {unseen > 0 && (
        <button type="button" class="button primary small new-messages" onClick={toEnd}>
          <DownIcon />
          {unseen === 1 ? 'New message' : `${unseen} new messages`}
        </button>
      )}
    </div>
  );
}

function ChatLine({
  line,
  session,
  state,
  isLastOwn,
  onOpenPicture,
}: {
  line: Line;
  session: RoomSession;
  state: RoomState;
  isLastOwn: boolean;
  onOpenPicture: (picture: Attachment) => void;
}) {
  const { userId } = useSession();
  if (line.kind === 'day')
    return (
      <p class="day">
        <time dateTime={line.at}>{dayName(line.at)}</time>
      </p>
    );
  if (line.kind === 'system') return <SystemLine message={line.message} />;
  if (line.kind === 'notice') return <NoticeLine notice={line.notice} />;
  if (line.kind === 'outgoing') return <OutgoingLine session={session} outgoing={line.outgoing} goesOn={line.goesOn} />;
  const { message, goesOn } = line;
  const { sender_id } = message;
  return (
    <MessageLine
      session={session}
      message={message}
      state={state}
      own={sender_id === userId}
      goesOn={goesOn}
      isLastOwn={isLastOwn}
      onOpenPicture={onOpenPicture}
    />
  );
}

/** An announcement of the room. */
const SystemLine = ({ message: { text, sent_at, deleted_at } }: { message: Message }) => (
  <p class="announcement" role="note" aria-label="Announcement">
    <span class="text" dir="auto">
      {deleted_at === null ? <LinkedText text={text ?? ''} /> : 'This announcement was deleted.'}
    </span>{' '}
    <time class="muted small" dateTime={sent_at}>
      {clock(sent_at)}
    </time>
  </p>
);

const NoticeLine = ({ notice: { sentence, at } }: { notice: Notice }) => (
  <p class="notice" title={moment(at)}>
    {sentence.map((part, index) => (typeof part === 'string' ? part : <bdi key={index}>{part.name}</bdi>))}
  </p>
);

const NothingYet = ({ state }: { state: RoomState }) => (
  <div class="blank">
    <h2>{state.standing.is === 'booked' ? 'This room has not started yet' : 'There are no messages yet'}</h2>
    {state.standing.is === 'joined' && <p>Write the first message below, or drop a file here.</p>}
    {state.standing.is === 'booked' && <p>It opens automatically at its start time.</p>}
  </div>
);
