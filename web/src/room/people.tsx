import { useState } from 'preact/hooks';
import type { ListedParticipant, MyRoom } from '../../../client/src/index.ts';
import { useSession } from '../session/user-session.ts';
import { CloseIcon, PlusIcon } from '../ui/icons.tsx';
import { Menu, type MenuItem } from '../ui/menu.tsx';
import { Avatar } from '../ui/small.tsx';
import { InviteDialog, RemoveDialog } from './dialogs.tsx';
import type { Standing } from './state.ts';

/** Who is in the room: those who are online first. */
export function People({
  room,
  people,
  standing,
  onClose,
}: {
  room: MyRoom;
  people: readonly ListedParticipant[];
  standing: Standing;
  onClose: () => void;
}) {
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<ListedParticipant>();
  const mayChange = room.is_admin && room.status !== 'ended' && standing.is !== 'removed';
  const online = people.filter((person) => person.online);
  const offline = people.filter((person) => !person.online);
  // One list: who comes or goes moves in it, and a menu that is open for them stays so.
  const group = (title: string, list: readonly ListedParticipant[]) =>
    list.length === 0
      ? []
      : [
          <li key={title} class="people-title">
            <h3>
              {title} ({list.length})
            </h3>
          </li>,
          ...list.map((person) => (
            <Person
              key={`id-${person.participant_id}`}
              room={room}
              person={person}
              mayChange={mayChange}
              onRemove={() => setRemoving(person)}
            />
          )),
        ];
  return (
    <aside id="people" class="people" aria-label="People in this room">
      <header class="people-header">
        <h2>People</h2>
        {mayChange && (
          <button type="button" class="button small" onClick={() => setInviting(true)}>
            <PlusIcon />
            Add
          </button>
        )}
        <button type="button" class="button quiet square close-people" aria-label="Close" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <ul>{[...group('Online', online), ...group('Offline', offline)]}</ul>
      {inviting && <InviteDialog room={room} people={people} onClose={() => setInviting(false)} />}
      {removing && <RemoveDialog room={room} person={removing} onClose={() => setRemoving(undefined)} />}
    </aside>
  );
}

function Person({
  room,
  person,
  mayChange,
  onRemove,
}: {
  room: MyRoom;
  person: ListedParticipant;
  mayChange: boolean;
  onRemove: () => void;
}) {
  const { client, attempt, userId } = useSession();
  const { participant_id: id, username, is_admin, online } = person;
  const name = username ?? id;
  const facts = [id === userId && 'you', is_admin && 'admin', username !== null && id].filter(Boolean).join(' · ');
  const actions: MenuItem[] = [
    is_admin
      ? {
          label: id === userId ? 'Stop being an admin' : 'Revoke admin',
          onChoose: () => void attempt(() => client.revokeAdmin(room.room_id, id)),
        }
      : { label: 'Make admin', onChoose: () => void attempt(() => client.grantAdmin(room.room_id, id)) },
    { label: id === userId ? 'Leave for good…' : 'Remove…', danger: true, onChoose: onRemove },
  ];
  return (
    <li class="person">
      <Avatar id={id} name={name} online={online} />
      <span class="person-name">
        <span class="ellipsis">{name}</span>
        {facts && <span class="muted small ellipsis">{facts}</span>}
      </span>
      {mayChange && <Menu label={`Actions for ${name}`} items={actions} />}
    </li>
  );
}
