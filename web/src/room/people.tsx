import { useState } from 'preact/hooks';
import type { ListedParticipant, MyRoom } from '../../../client/src/index.ts';
import { useSession } from '../session/user-session.ts';
import { CloseIcon, PlusIcon } from '../ui/icons.tsx';
import { Menu, type MenuItem } from '../ui/menu.tsx';
import { Avatar } from '../ui/small.tsx';
import { LinkedText } from '../ui/user-text.tsx';
import { InviteDialog, RemoveDialog } from './dialogs.tsx';
import type { Standing } from './state.ts';

/** The participants of a room. Those who are online come first. */
export function People({
  room,
  people,
  standing,
  knowsPresence,
  onClose,
}: {
  room: MyRoom;
  people: readonly ListedParticipant[];
  standing: Standing;
  /** Whether presence is known. */
  knowsPresence: boolean;
  onClose: () => void;
}) {
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<ListedParticipant>();
  const mayChange = room.is_admin && room.status !== 'ended' && standing.is !== 'removed';
  const online = people.filter((person) => person.online);
  const offline = people.filter((person) => !person.online);
  // One list for both groups, so that an open menu stays open when its participant comes online or goes offline.
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
              isOnline={knowsPresence && person.online}
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
      <About room={room} />
      <ul>
        {knowsPresence ? [...group('Online', online), ...group('Offline', offline)] : group('Participants', people)}
      </ul>
      {inviting && <InviteDialog room={room} people={people} onClose={() => setInviting(false)} />}
      {removing && <RemoveDialog room={room} person={removing} onClose={() => setRemoving(undefined)} />}
    </aside>
  );
}

/** The full name and description of the room. The header shortens them to one line each. */
const About = ({ room: { name, description } }: { room: MyRoom }) => (
  <section class="about" aria-label="About this room">
    <p class="about-name" dir="auto">
      {name}
    </p>
    {description && (
      <p class="muted small text" dir="auto">
        <LinkedText text={description} />
      </p>
    )}
  </section>
);

function Person({
  room,
  person,
  isOnline,
  mayChange,
  onRemove,
}: {
  room: MyRoom;
  person: ListedParticipant;
  isOnline: boolean;
  mayChange: boolean;
  onRemove: () => void;
}) {
  const { client, attempt, userId } = useSession();
  const { participant_id: id, username, is_admin, role } = person;
  const isObserver = role === 'observer';
  const name = username ?? id;
  const facts = [id === userId && 'you', is_admin && 'admin', isObserver && 'observer', username !== null && id]
    .filter(Boolean)
    .join(' · ');
  const actions: MenuItem[] = [
    is_admin
      ? {
          label: id === userId ? 'Stop being an admin' : 'Revoke admin',
          onChoose: () => void attempt(() => client.revokeAdmin(room.room_id, id)),
        }
      : { label: 'Make admin', onChoose: () => void attempt(() => client.grantAdmin(room.room_id, id)) },
    ...(is_admin
      ? []
      : [
          {
            label: isObserver ? 'Let them write' : 'Make observer',
            onChoose: () => void attempt(() => client.setRole(room.room_id, id, isObserver ? 'member' : 'observer')),
          },
        ]),
    { label: id === userId ? 'Leave room…' : 'Remove…', danger: true, onChoose: onRemove },
  ];
  return (
    <li class="person">
      <Avatar id={id} name={name} online={isOnline} />
      <span class="person-name">
        <span class="two-lines" title={name} dir="auto">
          {name}
        </span>
        {facts && (
          <span class="muted small ellipsis" title={facts}>
            {facts}
          </span>
        )}
      </span>
      {mayChange && <Menu label={`Actions for ${name}`} items={actions} />}
    </li>
  );
}
