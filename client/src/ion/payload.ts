import type { Message as StoredMessage } from '../contract.ts';
import type { OutgoingMessage } from '../room-types.ts';

/**
 * The `type` of messages that were sent with this module. `data` contains the fields without an equivalent in Rooms.
 */
export const ION_TYPE = 'ion';

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** Removes from an object the fields that a message of Rooms stores itself. */
const without = (object: Json, names: readonly string[]): Json =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));

/**
 * Converts a map of the Ion SDK to a message of Rooms. From the entry `msg`, `text` becomes the text, and
 * `attachment.file_id` the file. Everything else becomes `data`, so that other clients of this module receive the same
 * map.
 *
 * @throws Error if there is nothing to send
 */
export function toOutgoing(mineType: string, map: ReadonlyMap<string, unknown>): OutgoingMessage {
  const msg = map.get('msg');
  const { text, attachment } = isObject(msg) ? msg : {};
  const fileId = isObject(attachment) ? textOf(attachment.file_id) : undefined;
  const others = Object.fromEntries([...map].filter(([name]) => name !== 'msg' || !isObject(msg)));
  const rest = isObject(msg) ? without(msg, ['uid', 'text', ...(fileId ? ['attachment'] : [])]) : undefined;
  if (map.size === 0) throw new Error('The message is empty: put an entry into the map, such as "msg".');
  return {
    type: ION_TYPE,
    ...(textOf(text) && { text: textOf(text) }),
    ...(fileId && { attachment: { file_id: fileId } }),
    data: { type: mineType, ...(rest && { msg: rest }), ...(Object.keys(others).length > 0 && { others }) },
  };
}

/**
 * JSON with only ASCII characters. It can be decoded as UTF-8 and also with `String.fromCharCode`, as UCS front ends
 * do.
 */
function toBytes(value: unknown): Uint8Array {
  const toEscape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return new TextEncoder().encode(JSON.stringify(value).replace(/[^\x20-\x7e]/g, toEscape));
}

/** Converts a message to the map that the Ion SDK would deliver, also if another client sent the message. */
export function toPayload(message: StoredMessage): { readonly type: string; readonly bytes: Uint8Array } {
  const { sender_id, sender_name, text, attachment, data, type } = message;
  const stored = type === ION_TYPE && data ? data : undefined;
  const { file_id, name, size, content_type } = attachment ?? {};
  const msg =
    stored && !isObject(stored.msg)
      ? undefined
      : {
          name: sender_name ?? sender_id,
          mime_type: 'message',
          ...(isObject(stored?.msg) && stored.msg),
          uid: sender_id,
          text: text ?? '',
          ...(attachment && { attachment: { file_id, name, size, content_type } }),
        };
  return {
    type: textOf(stored?.type) ?? 'Map',
    bytes: toBytes({ ...(msg && { msg }), ...(isObject(stored?.others) && stored.others) }),
  };
}
