/*
 * The findings of `npm run check`.
 */

/** Every kind of finding: its meaning, and the repair. `repair` is missing if no repair is safe. */
export const FINDINGS = {
  'room-without-admin': {
    summary: 'A room that nobody can administer.',
    repair: 'makes its creator an admin or, if they left, the participant who was added first',
  },
  'admin-not-participant': {
    summary: 'Users who have the admin right of a room and are no participants.',
    repair: 'takes the right; if no admin is left, another participant gets it',
  },
  'room-without-participants': { summary: 'A room that nobody can see.' },
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
  'message-file-lost': { summary: 'A message whose file is gone from the bucket for good.' },
  'message-without-file-record': {
    summary: 'A message whose file has no record: it can be downloaded by the ID of the message only.',
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
  'schedule-missing': { summary: 'A start or end to come that nothing announces.', repair: 'creates the schedule' },
  'schedule-wrong': {
    summary: 'A schedule with another time, function or role than it should have.',
    repair: 'updates the schedule',
  },
  'schedule-left-over': {
    summary: 'A schedule for a time that the room does not have, or of a room that does not exist.',
    repair: 'deletes the schedule',
  },
  'connection-gone': {
    summary: 'A connection in a room that API Gateway no longer has.',
    repair: 'takes it out of the room; others see its user leave',
  },
  'subscription-gone': {
    summary: 'A connection that subscribed to its user, and that API Gateway no longer has.',
    repair: 'deletes the subscription',
  },
  'presence-stuck': {
    summary: 'A participant who is shown as present although their last connection ended minutes ago.',
    repair: 'marks the participant absent',
  },
} as const satisfies Record<string, { readonly summary: string; readonly repair?: string }>;

export type FindingKind = keyof typeof FINDINGS;

export const findingKinds = Object.keys(FINDINGS) as readonly FindingKind[];

/** The IDs that a finding is about, as far as they apply. */
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
  /** Repairs it, unless something has changed since the check. Returns whether it did. */
  readonly apply?: () => Promise<boolean>;
}

/** A consistent check of a possible problem. Returns undefined if there is none. */
export type Look = () => Promise<Found | undefined>;
