/*
 * Default values for fields of responses. Tests that compare whole responses do not change when the contract gains a
 * field.
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

/** The fields of a room that describe the caller. */
export const ownDefaults = {
  ...participantDefaults,
  read_to: null,
  last_message_at: null,
  has_unread: false,
} as const;
