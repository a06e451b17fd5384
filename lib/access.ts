import type { Access } from '../core/contract/route.ts';

/** To find the connections of a room, and to take out those that are gone. */
const broadcasting = { Query: ['ROOM'], UpdateItem: ['ROOM'], DeleteItem: ['ROOM'] } as const;

/** What functions may do with the table that are no row of the contract, by the name of their entry. */
export const accessOfOthers = {
  authorizer: { table: {} },
  connect: { table: {} },
  disconnect: { table: { UpdateItem: ['ROOM'], DeleteItem: ['ROOM'] }, index: ['CONNECTION'] },
  'deliver-messages': { table: broadcasting },
  'room-changes': { table: broadcasting },
  presence: { table: { UpdateItem: ['ROOM'] } },
  announce: { table: { ...broadcasting, GetItem: ['ROOM'] } },
} as const satisfies Record<string, Access>;
