/*
 * The findings of `npm run check`.
 */

/** Every kind of finding: its meaning, and the repair. `repair` is missing if no repair is safe. */
export const FINDINGS = {
  'room-without-admin': {
    summary: 'A room without an admin.',
    repair: 'makes the creator an admin or, if the creator has left, the participant who was added first',
  },
  'admin-not-participant': {
    summary: 'Users who are admins of a room, but not participants.',
    repair: 'removes the right; if no admin is left, another participant gets it',
  },
  'room-without-participants': { summary: 'A room without participants.' },
  'participant-without-room': {
    summary: 'A participant whose room does not exist.',
    repair: 'deletes the participant',
  },
  'chat-without-room': { summary: 'Messages whose room does not exist.' },
  'files-without-room': { summary: 'Files whose room does not exist.' },
  'message-file-deleted': {
    summary: 'A message whose file was deleted from the bucket, which still has a version of it.',
    repair: 'removes the delete markers',
  },
  'message-file-lost': { summary: 'A message whose file is permanently missing from the bucket.' },
  'message-without-file-record': {
    summary: 'A message whose file has no record, so it can be downloaded only by the ID of the message.',
    repair: 'writes the record from the message',
  },
  'file-record-expires': {
    summary: 'A file that will be deleted as unused, although a message has it.',
    repair: 'keeps the file',
  },
  'file-without-object': {
    summary: 'The record of a file that is not in the bucket.',
    repair: 'removes the delete markers, if the bucket still has a version',
  },
  'schedule-missing': { summary: 'A future start or end without a schedule.', repair: 'creates the schedule' },
  'schedule-wrong': {
    summary: 'A schedule with a wrong time, function or role.',
    repair: 'updates the schedule',
  },
  'schedule-left-over': {
    summary: 'A schedule for a time that the room does not have, or of a room that does not exist.',
    repair: 'deletes the schedule',
  },
  'connection-gone': {
    summary: 'A closed connection that is still joined to a room.',
    repair: 'removes it from the room; other participants receive peer_left',
  },
  'subscription-gone': {
    summary: 'A subscription of a closed connection.',
    repair: 'deletes the subscription',
  },
  'presence-stuck': {
    summary: 'A participant who is shown as online although the last connection ended minutes ago.',
    repair: 'marks the participant offline',
  },
} as const satisfies Record<string, { readonly summary: string; readonly repair?: string }>;

export type FindingKind = keyof typeof FINDINGS;

export const findingKinds = Object.keys(FINDINGS) as readonly FindingKind[];

/** The IDs of the items that a finding concerns. */
export interface Subject {
  readonly room_id?: string;
  readonly participant_ids?: readonly string[];
  readonly message_id?: string;
  readonly file_id?: string;
  readonly connection_id?: string;
  readonly moment?: string;
}

/** A current problem. */
export interface Found {
  readonly kind: FindingKind;
  readonly subject: Subject;
  /** The repair of this finding in words; undefined if none is safe. */
  readonly fix?: string;
  /** Repairs the problem, unless the items have changed since the check. Returns whether it did. */
  readonly apply?: () => Promise<boolean>;
}

/** A consistent check of a possible problem. Returns undefined if there is none. */
export type ItemCheck = () => Promise<Found | undefined>;
