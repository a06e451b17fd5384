import { ListSchedulesCommand, type ScheduleSummary } from '@aws-sdk/client-scheduler';
import * as v from 'valibot';
import { announcement } from '../../core/contract/answers.ts';
import { PRESENCE_GRACE_SECONDS } from '../../core/contract/limits.ts';
import { announcementsOf, MOMENTS, type Moment } from '../../core/realtime/schedule.ts';
import { announcementsNow } from '../../core/realtime/sync-schedules.ts';
import { plus } from '../../core/rules/time.ts';
import { dropConnection, markAbsent } from '../../core/store/connections.ts';
import type { ConnectionItem, FileItem, ParticipantItem, RoomItem } from '../../core/store/items.ts';
import {
  connectionKey,
  fileKey,
  type Key,
  type Kind,
  kindOf,
  participantKey,
  roomKey,
  userConnectionKey,
  userIdOf,
} from '../../core/store/keys.ts';
import { get, getMany } from '../../core/store/read.ts';
import {
  adminProblem,
  isOrphan,
  keepFile,
  messageWithFile,
  recordFile,
  removeOrphan,
  repairAdmins,
} from '../../core/store/repairs.ts';
import { dropSubscription } from '../../core/store/subscriptions.ts';
import { type Connections, isGone } from './connections.ts';
import type { Found, ItemCheck } from './findings.ts';
import { type Objects, objectState, removeDeleteMarkers } from './objects.ts';
import { compareSchedule, type ScheduleTarget as Schedules, writeSchedules } from './schedules.ts';

/*
 * The possible problems of an item, and how to check for them. The scan may have read outdated items: a check reads
 * them again, and a repair makes everything that the check relied on a condition of the write.
 */

/**
 * Clients and names of everything that is checked. The name of the table is in the variable `TABLE_NAME`, as for
 * functions.
 */
export interface Places {
  readonly schedules: Schedules;
  readonly objects: Objects;
  readonly connections: Connections;
}

/** The attributes that the scan reads of an item. Checks read the rest. */
export const PROJECTION =
  'PK, SK, start_time, end_time, admins, participant_id, connections, present, left_at, message_id, attachment, attachments, file_id, expires_at, connection_id, updated_at, end_warnings_seconds, announcements';

const seen = v.object({
  PK: v.string(),
  SK: v.string(),
  start_time: v.optional(v.string()),
  end_time: v.optional(v.string()),
  updated_at: v.optional(v.string()),
  end_warnings_seconds: v.optional(v.array(v.number())),
  announcements: v.optional(v.array(announcement)),
  admins: v.optional(v.set(v.string())),
  participant_id: v.optional(v.string(), ''),
  connections: v.optional(v.set(v.string())),
  present: v.optional(v.boolean()),
  left_at: v.optional(v.string()),
  message_id: v.optional(v.string(), ''),
  attachment: v.optional(v.object({ file_id: v.string() })),
  attachments: v.optional(v.array(v.object({ file_id: v.string() }))),
  file_id: v.optional(v.string(), ''),
  expires_at: v.optional(v.number()),
  connection_id: v.optional(v.string(), ''),
});

interface Item extends v.InferOutput<typeof seen> {
  readonly kind: Kind;
  readonly room_id: string;
}

/**
 * How long after the last connection a participant must be offline, in milliseconds. The service checks this after 10 seconds.
 * The limit is much longer, because the check can be retried.
 */
const ABSENT_MS = 30 * PRESENCE_GRACE_SECONDS * 1_000;

/** Returns the checks for the items of a page. */
export async function checksOf(
  places: Places,
  page: readonly Readonly<Record<string, unknown>>[],
  withFiles: boolean,
): Promise<ItemCheck[]> {
  const items = page.map((each): Item => {
    const item = v.parse(seen, each);
    const { kind, room_id = '' } = kindOf(item);
    return { ...item, kind, room_id };
  });
  const participants = new Set(items.filter(({ kind }) => kind === 'participant').map(({ PK, SK }) => `${PK} ${SK}`));
  const isInPage = ({ PK, SK }: Key): boolean => participants.has(`${PK} ${SK}`);
  return [
    ...(await checksOfMissingRooms(items)),
    ...items.flatMap((item) => checksOfItem(places, item, isInPage)),
    ...(withFiles ? items.flatMap((item) => checksOfFiles(places, item)) : []),
  ];
}

const OF_A_ROOM: ReadonlySet<Kind> = new Set(['participant', 'file', 'message']);

/** Returns one check for each participant, chat, and set of files in the page whose room was not found. */
async function checksOfMissingRooms(items: readonly Item[]): Promise<ItemCheck[]> {
  const ids = new Set(items.filter(({ kind }) => OF_A_ROOM.has(kind)).map(({ room_id }) => room_id));
  for (const { kind, room_id } of items) if (kind === 'room') ids.delete(room_id);
  const rooms = await getMany<RoomItem>([...ids].map(roomKey), { consistent: true });
  for (const { room_id } of rooms) ids.delete(room_id);
  const missing = items.filter(({ room_id, kind }) => ids.has(room_id) && OF_A_ROOM.has(kind));
  const participants = missing.filter(({ kind }) => kind === 'participant');
  const once = (kind: Kind) => new Set(missing.filter((item) => item.kind === kind).map(({ room_id }) => room_id));
  return [
    ...participants.map(({ room_id, participant_id }) => orphan(room_id, participant_id)),
    ...[...once('message')].map((room_id) => roomless('chat-without-room', room_id)),
    ...[...once('file')].map((room_id) => roomless('files-without-room', room_id)),
  ];
}

const orphan =
  (room_id: string, participant_id: string): ItemCheck =>
  async () =>
    (await isOrphan(room_id, participant_id))
      ? {
          kind: 'participant-without-room',
          subject: { room_id, participant_ids: [participant_id] },
          fix: 'delete the participant',
          apply: () => removeOrphan(room_id, participant_id),
        }
      : undefined;

const roomless =
  (kind: 'chat-without-room' | 'files-without-room', room_id: string): ItemCheck =>
  async () =>
    (await get(roomKey(room_id))) ? undefined : { kind, subject: { room_id } };

function checksOfItem(places: Places, item: Item, isInPage: (participant: Key) => boolean): ItemCheck[] {
  const { kind, room_id, participant_id, connection_id, PK } = item;
  const now = new Date().toISOString();
  switch (kind) {
    case 'room': {
      const { start_time = '', updated_at = '', admins = new Set() } = item;
      const moments = announcementsOf({ ...item, start_time, updated_at }, now).map(({ moment }) => moment);
      // Most rooms are completely on one page.
      const isRight = admins.size > 0 && [...admins].every((id) => isInPage(participantKey(room_id, id)));
      return [...(isRight ? [] : [adminsOf(room_id)]), ...moments.map((moment) => schedule(places, room_id, moment))];
    }
    case 'participant':
      return item.present && !item.connections && item.left_at && plus(item.left_at, ABSENT_MS) < now
        ? [presence(room_id, participant_id)]
        : [...(item.connections ?? [])].map((id) => connection(places, room_id, participant_id, id));
    case 'connection':
      return [connection(places, room_id, participant_id, connection_id)];
    case 'subscription':
      return [subscription(places, userIdOf(PK), connection_id)];
    default:
      return [];
  }
}

const adminsOf =
  (room_id: string): ItemCheck =>
  async () => {
    const problem = await adminProblem(room_id);
    if (!problem) return undefined;
    const { strangers, newAdmin, repairable } = problem;
    const subject = { room_id, ...(strangers.length > 0 && { participant_ids: strangers }) };
    if (!repairable) return { kind: 'room-without-participants', subject };
    const fixes = [
      ...(strangers.length > 0 ? ['remove the right'] : []),
      ...(newAdmin === undefined ? [] : [`make ${newAdmin} an admin`]),
    ];
    return {
      kind: strangers.length > 0 ? 'admin-not-participant' : 'room-without-admin',
      subject,
      fix: fixes.join(', '),
      apply: () => repairAdmins(problem),
    };
  };

const presence =
  (room_id: string, participant_id: string): ItemCheck =>
  async () => {
    const item = await get<ParticipantItem>(participantKey(room_id, participant_id));
    const { left_at } = item ?? {};
    if (!item?.present || item.connections || !left_at) return undefined;
    if (plus(left_at, ABSENT_MS) >= new Date().toISOString()) return undefined;
    return {
      kind: 'presence-stuck',
      subject: { room_id, participant_ids: [participant_id] },
      fix: 'mark the participant offline',
      apply: () => markAbsent(room_id, participant_id, left_at),
    };
  };

const connection =
  ({ connections }: Places, room_id: string, user_id: string, connection_id: string): ItemCheck =>
  async () => {
    const [item, participant] = await Promise.all([
      get<ConnectionItem>(connectionKey(room_id, connection_id)),
      get<ParticipantItem>(participantKey(room_id, user_id)),
    ]);
    if (!item && !participant?.connections?.has(connection_id)) return undefined;
    if (!(await isGone(connections, connection_id))) return undefined;
    return {
      kind: 'connection-gone',
      subject: { room_id, participant_ids: [user_id], connection_id },
      fix: 'remove the connection from the room',
      async apply() {
        await dropConnection({ room_id, connection_id, user_id, now: new Date().toISOString() });
        return true;
      },
    };
  };

const subscription =
  ({ connections }: Places, user_id: string, connection_id: string): ItemCheck =>
  async () => {
    if (!(await get(userConnectionKey(user_id, connection_id)))) return undefined;
    if (!(await isGone(connections, connection_id))) return undefined;
    return {
      kind: 'subscription-gone',
      subject: { participant_ids: [user_id], connection_id },
      fix: 'delete the subscription',
      async apply() {
        await dropSubscription({ user_id, connection_id });
        return true;
      },
    };
  };

const schedule =
  ({ schedules }: Places, room_id: string, moment: Moment): ItemCheck =>
  async () => {
    const room = await get<RoomItem>(roomKey(room_id));
    const [announcement] = room ? await announcementsNow(room, new Date().toISOString(), [moment]) : [];
    if (!announcement) return undefined;
    const comparison = await compareSchedule(schedules, announcement);
    if (comparison === 'current') return undefined;
    return {
      kind: comparison === 'missing' ? 'schedule-missing' : 'schedule-wrong',
      subject: { room_id, moment },
      fix: `schedule the ${moment} for ${announcement.time}`,
      async apply() {
        await writeSchedules(schedules, room_id, { moments: [moment], since: clock });
        return true;
      },
    };
  };

const clock = (): string => new Date().toISOString();

/** The Scheduler deletes a schedule after it has fired, after at most an hour of attempts. */
const ATTEMPTS_MS = 3_600_000;

const scheduleName = /^(?<room_id>.+)-(?<moment>start|end|next)$/;
const isMoment = (text: string | undefined): text is Moment => MOMENTS.some((moment) => moment === text);

/** Returns the checks for all schedules, page by page. */
export async function* checksOfSchedules({ schedules }: Places): AsyncGenerator<ItemCheck[]> {
  const { scheduler, settings } = schedules;
  let NextToken: string | undefined;
  do {
    const page = await scheduler.send(
      new ListSchedulesCommand({ GroupName: settings.group, MaxResults: 100, ...(NextToken && { NextToken }) }),
    );
    yield (page.Schedules ?? []).flatMap((each) => leftoverSchedule(schedules, each));
    ({ NextToken } = page);
  } while (NextToken !== undefined);
}

function leftoverSchedule(schedules: Schedules, { Name = '', LastModificationDate }: ScheduleSummary): ItemCheck[] {
  const { room_id = '', moment } = scheduleName.exec(Name)?.groups ?? {};
  if (!isMoment(moment)) return [];
  return [
    async () => {
      const room = await get<RoomItem>(roomKey(room_id));
      const now = new Date().toISOString();
      if (room && announcementsOf(room, now, [moment]).length > 0) return undefined;
      // It may be about to fire, still be retried, or announce a time that was missed.
      const time = moment === 'start' ? room?.start_time : moment === 'end' ? room?.end_time : room?.updated_at;
      const recently = new Date(Date.now() - ATTEMPTS_MS).toISOString();
      const modified = LastModificationDate?.toISOString() ?? '';
      if (time !== undefined && (time > recently || modified > recently)) return undefined;
      return {
        kind: 'schedule-left-over',
        subject: { room_id, moment },
        fix: 'delete the schedule',
        async apply() {
          await writeSchedules(schedules, room_id, { moments: [moment], since: clock });
          return true;
        },
      };
    },
  ];
}

function checksOfFiles(places: Places, item: Item): ItemCheck[] {
  const { kind, room_id, message_id, attachment, file_id, expires_at } = item;
  const { attachments = attachment ? [attachment] : [] } = item;
  if (kind === 'message') return attachments.map((each) => messageFile(places, room_id, message_id, each.file_id));
  // An upload without a message may still be in progress, and expires by itself.
  return kind === 'file' && expires_at === undefined ? [fileRecord(places, room_id, file_id)] : [];
}

const messageFile =
  ({ objects }: Places, room_id: string, message_id: string, file_id: string): ItemCheck =>
  async () => {
    const stored = await messageWithFile(room_id, message_id, file_id);
    if (!stored) return undefined;
    const subject = { room_id, message_id, file_id };
    const object = await objectState(objects, room_id, file_id);
    if (object.state === 'lost') return { kind: 'message-file-lost', subject };
    if (object.state === 'deleted')
      return {
        kind: 'message-file-deleted',
        subject,
        fix: 'restore the file',
        apply: () => removeDeleteMarkers(objects, room_id, file_id, object.markers),
      };
    if (!stored.file)
      return {
        kind: 'message-without-file-record',
        subject,
        fix: 'write the record',
        apply: () => recordFile(stored),
      };
    if (stored.file.expires_at === undefined) return undefined;
    return { kind: 'file-record-expires', subject, fix: 'keep the file', apply: () => keepFile(stored) };
  };

const fileRecord =
  ({ objects }: Places, room_id: string, file_id: string): ItemCheck =>
  async (): Promise<Found | undefined> => {
    const file = await get<FileItem>(fileKey(room_id, file_id));
    if (!file || file.expires_at !== undefined) return undefined;
    const object = await objectState(objects, room_id, file_id);
    if (object.state === 'there') return undefined;
    const found = { kind: 'file-without-object' as const, subject: { room_id, file_id } };
    if (object.state === 'lost') return found;
    return {
      ...found,
      fix: 'restore the file',
      apply: () => removeDeleteMarkers(objects, room_id, file_id, object.markers),
    };
  };
