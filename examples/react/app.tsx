import { RoomsClient } from '@rooms/client';
import { RoomsProvider, useMessages, useParticipants, useRoom, useRooms, useTyping } from '@rooms/client/react';
import { StrictMode, type SubmitEvent, useState } from 'react';
import { createRoot } from 'react-dom/client';

const token = new URLSearchParams(location.search).get('token') ?? '';
const client = new RoomsClient({ url: 'http://127.0.0.1:4000', wsUrl: 'ws://127.0.0.1:4004/v1', token: () => token });

function Room({ roomId }: { roomId: string }) {
  const { status, room } = useRoom(roomId);
  const { participants } = useParticipants(roomId);
  const { messages, pending, earlier, loadEarlier, send } = useMessages(roomId);
  const { typing, setTyping } = useTyping(roomId);
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = new FormData(event.currentTarget).get('text');
    if (typeof text === 'string' && text) send({ text });
    event.currentTarget.reset();
  };
  return (
    <section>
      <h1>{room?.name ?? status}</h1>
      <p>Online: {participants.flatMap(({ online, participant_id }) => (online ? participant_id : [])).join(', ')}</p>
      <button type="button" onClick={loadEarlier} disabled={earlier !== 'more'}>
        Earlier messages
      </button>
      <ol>
        {messages.map(({ message_id, sender_id, text, deleted_at }) => (
          <li key={message_id}>{deleted_at ? 'deleted' : `${sender_id}: ${text}`}</li>
        ))}
        {pending.map(({ client_message_id, message, state }) => (
          <li key={client_message_id}>{`${message.text} (${state})`}</li>
        ))}
      </ol>
      <p>{typing.map(({ participant_id }) => `${participant_id} is typing`).join(', ')}</p>
      <form onSubmit={onSubmit}>
        <input name="text" aria-label="Message" onChange={() => setTyping(true)} />
      </form>
    </section>
  );
}

function App() {
  const [roomId, open] = useState<string>();
  const { rooms } = useRooms({ status: 'started' });
  const buttons = rooms.map(({ room_id, name, has_unread }) => (
    <button key={room_id} type="button" onClick={() => open(room_id)}>
      {has_unread ? `${name} (new)` : name}
    </button>
  ));
  return roomId ? <Room roomId={roomId} /> : buttons;
}

createRoot(document.body).render(
  <StrictMode>
    <RoomsProvider client={client}>
      <App />
    </RoomsProvider>
  </StrictMode>,
);
