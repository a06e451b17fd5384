/*
 * Fields of responses for which a test gives no value. They change with the contract, and the tests that compare whole responses
 * need not.
 */

export const messageDefaults = {
  text: null,
  attachment: null,
  sender_name: null,
  kind: 'user',
  type: null,
  data: null,
  reply_to: null,
  attachments: [],
  edited_at: null,
  deleted_at: null,
  deleted_by: null,
  change: null,
} as const;

export const roomDefaults = {
  description: null,
  end_time: null,
  end_reason: null,
  posting: 'everyone',
  metadata: null,
  end_warnings_seconds: [300, 60],
  announcements: [],
} as const;

export const participantDefaults = { username: null, archive_room: false, role: 'member', is_admin: false } as const;

export const listedDefaults = { ...participantDefaults, online: false, read_to: null } as const;

/** The caller's own part of a room. */
export const ownDefaults = {
  ...participantDefaults,
  read_to: null,
  last_message_at: null,
  has_unread: false,
} as const;
