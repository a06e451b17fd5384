import type { Units } from './units.ts';

type Budget = readonly [rcu: number, wcu: number];

/**
 * Capacity units of each call, as pairs of read and write units. A room with 10,000 participants costs as much as a
 * room with two, except for larger pages. test/functions/capacity.test.ts verifies the numbers.
 */
export const CAPACITY = {
  createRoom: [0, 9],
  'createRoom, with 10 others and a key': [0, 43],
  changeRoom: [0, 1],
  'changeRoom, posting': [1, 34],
  'changeRoom, with an announcement': [2, 1],
  'addParticipants, 10': [11, 34],
  'addParticipants, 10 observers': [11, 34],
  'removeParticipants, 10': [0, 34],
  setRole: [2, 4],
  grantAdmin: [1, 4],
  revokeAdmin: [1, 1],
  leaveRoom: [0, 9],
  'listRooms, page of 50': [76.5, 0],
  getRoom: [3, 0],
  'getRoom, page of 100 unread': [13, 0],
  'listParticipants, page of 50': [7, 0],
  updateProfile: [1, 5],
  markRead: [0, 1],
  'listMessages, page of 50': [7, 0],
  editMessage: [4, 11],
  'editMessage, again': [4, 13],
  deleteMessage: [4, 9],
  'listMessageChanges, page of 50': [54, 0],
  createUpload: [2, 5],
  createDownload: [3, 0],
  'endRoom, in an hour': [0, 1],
  ping: [0, 1],
  'ping, with numbers': [2, 1],
  join: [4, 6],
  'join, rooms.v2': [5, 6],
  message: [4, 10],
  leave: [0, 4],
  subscribe: [0, 3],
  typing: [3, 0],
} as const satisfies Readonly<Record<string, Budget>>;

export type Counted = keyof typeof CAPACITY;

export const unitsOf = (call: Counted): Units => {
  const [rcu, wcu] = CAPACITY[call];
  return { rcu, wcu };
};
