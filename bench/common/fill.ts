import { randomUUID } from 'node:crypto';
import { ulid } from 'ulid';
import {
  changeKey,
  changesKey,
  messageKey,
  participantKey,
  roomKey,
  sentKey,
  userRoomKey,
} from '../../core/store/keys.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { get } from '../../core/store/read.ts';
import { numberEvents } from '../../core/store/sequence.ts';
import type { SampleRoom } from '../../test/fixtures/samples.ts';
import { writeItems } from '../../test/fixtures/write-items.ts';
import { newRoom, send } from './world.ts';

/*
 * Fills the table faster than the API could. The API creates one item of each kind, and the others are copies with
 * other keys. Import it only after the environment contains the table's name and endpoint.
 */

export interface Scale {
  /** Participants of the room. */
  readonly participants: number;
  /** Rooms of its admin. */
  readonly rooms: number;
  /** Messages in its chat. */
  readonly messages: number;
}

/** The maximum number of edited messages. */
const MAX_CHANGED = 1_000;

async function model<T extends object>(item: Promise<T | undefined>): Promise<T> {
  const found = await item;
  if (!found) throw new Error('There is no item to copy.');
  return found;
}

/** Creates a room of this scale, with a file. */
export async function roomOf({ participants, rooms, messages }: Scale): Promise<SampleRoom> {
  const room = await newRoom();
  const { room_id, admin, member } = room;
  const participant = await model(get(participantKey(room_id, member)));
  function* others(): Generator<object> {
    for (let n = 2; n < participants; n++) {
      const participant_id = randomUUID();
      const keys = { ...participantKey(room_id, participant_id), ...userRoomKey(room_id, participant_id) };
      yield { ...participant, ...keys, participant_id };
    }
  }
  await writeItems(others());

  const other = await send('createRoom', { as: admin, body: { name: 'Another room' } });
  const otherId = String(other.room_id);
  const [item, inIt] = await Promise.all([model(get(roomKey(otherId))), model(get(participantKey(otherId, admin)))]);
  function* more(): Generator<object> {
    for (let n = 2; n < rooms; n++) {
      const id = randomUUID();
      yield { ...item, ...roomKey(id), room_id: id };
      yield { ...inIt, ...participantKey(id, admin), ...userRoomKey(id, admin), room_id: id };
    }
  }
  await writeItems(more());

  const now = new Date().toISOString();
  const content = { room_id, sender_id: member, client_message_id: randomUUID(), text: 'x'.repeat(100), now };
  const first = await appendMessage(content);
  const [message, sent] = await Promise.all([
    model(get(messageKey(room_id, first.message_id))),
    model(get(sentKey(room_id, member, content.client_message_id))),
  ]);
  const changed = Math.min(messages - 1, MAX_CHANGED);
  let last_message_id = first.message_id;
  function* history(): Generator<object> {
    for (let n = 1; n < messages; n++) {
      const [message_id, client_message_id] = [ulid(), randomUUID()];
      last_message_id = message_id;
      const item = { ...message, ...messageKey(room_id, message_id), message_id, client_message_id };
      yield n > changed ? item : { ...item, change: n };
      if (n <= changed) yield { ...changeKey(room_id, n), message_id };
      // The markers of sent messages expire after one day. 10 % of the messages are more than any long history has.
      if (n % 10 === 0) yield { ...sent, ...sentKey(room_id, member, client_message_id), message_id };
    }
  }
  await writeItems(history());
  await writeItems([{ ...changesKey(room_id), last: changed }]);
  // Numbers the messages, as their delivery would.
  const last = { last_message_id, last_sender_id: member };
  await numberEvents({ feed: 'messages', room_id }, messages, 'filled', last);
  return room;
}
