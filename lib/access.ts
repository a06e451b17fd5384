import type { Access } from '../core/contract/route.ts';

/** To take connections out of a room that are gone. */
const dropping = { UpdateItem: ['ROOM'], DeleteItem: ['ROOM'] } as const;
/** To mark those that cannot be closed besides. */
const disconnecting = { ...dropping, PutItem: ['ROOM'] } as const;
/** To find the connections of a room besides. */
const broadcasting = { ...disconnecting, Query: ['ROOM'] } as const;

/** What functions may do with the table that are no row of the contract, by the name of their entry. */
export const eventFunctionAccess = {
  authorizer: { table: {} },
  connect: { table: {} },
  disconnect: { table: { ...dropping, DeleteItem: ['ROOM', 'USER'] }, index: ['CONNECTION'] },
  'deliver-messages': { table: broadcasting },
  'room-changes': {
    table: {
      ...broadcasting,
      BatchGetItem: ['ROOM'],
      GetItem: ['ROOM'],
      // Connections that subscribed to their user.
      Query: ['ROOM', 'USER'],
      DeleteItem: ['ROOM', 'USER'],
      // The numbers of what is sent to them.
      UpdateItem: ['ROOM', 'USER'],
    },
    bucket: ['DeleteObject'],
  },
  'fan-out': { table: disconnecting },
  lane: { table: broadcasting },
  presence: { table: { ...dropping, BatchGetItem: ['ROOM'], GetItem: ['ROOM'], Query: ['ROOM', 'USER'] } },
  announce: { table: { ...broadcasting, GetItem: ['ROOM'] } },
} as const satisfies Record<string, Access>;
