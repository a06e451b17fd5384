import type {
  ActionName,
  Actions,
  AddParticipantsBody,
  ChangeRoomBody,
  CreateRoomBody,
  Message,
  NoFields,
  OperationName,
  Operations,
  Posting,
  Role,
} from './contract.ts';
import { OPERATIONS } from './contract.ts';

/*
 * What contract 1.2 adds and contract.ts does not have yet: it is generated from the rows of the service, which follow. Each part goes away
 * as its row comes.
 */

export interface RoomSettings {
  readonly posting?: Posting | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
  readonly end_warnings_seconds?: readonly number[] | undefined;
  readonly announcements?:
    | readonly {
        readonly announcement_id: string;
        readonly message: string;
        readonly relative_from?: 'start' | 'end' | undefined;
        readonly relative_time_in_seconds: number;
      }[]
    | undefined;
}

interface NextOperations {
  readonly addParticipants: { readonly body: AddParticipantsBody & { readonly role?: Role | undefined } };
  readonly changeRoom: { readonly body: ChangeRoomBody & RoomSettings };
  readonly createRoom: { readonly body: CreateRoomBody & RoomSettings };
  readonly editMessage: {
    readonly params: { readonly room_id: string; readonly message_id: string };
    readonly query: NoFields;
    readonly body: { readonly text: string };
    readonly data: Message;
  };
  readonly deleteMessage: {
    readonly params: { readonly room_id: string; readonly message_id: string };
    readonly query: NoFields;
    readonly body: NoFields;
    readonly data: Message;
  };
  readonly listMessageChanges: {
    readonly params: { readonly room_id: string };
    readonly query: { readonly after?: number | undefined; readonly limit?: number | undefined };
    readonly body: NoFields;
    readonly data: readonly Message[];
  };
}

export type AllOperations = Operations & NextOperations;
export type AllOperationName = OperationName | keyof NextOperations;

export const ALL_OPERATIONS: {
  readonly [Name in AllOperationName]: { readonly method: string; readonly path: string };
} = {
  editMessage: { method: 'PATCH', path: '/participant/room/{room_id}/chat/{message_id}' },
  deleteMessage: { method: 'DELETE', path: '/participant/room/{room_id}/chat/{message_id}' },
  listMessageChanges: { method: 'GET', path: '/participant/room/{room_id}/chat/change' },
  ...OPERATIONS,
};

interface NextActions {
  readonly message: {
    readonly frame: Actions['message']['frame'] & {
      readonly attachments?: readonly { readonly file_id: string }[] | undefined;
      readonly type?: string | undefined;
      readonly data?: Readonly<Record<string, unknown>> | undefined;
      readonly reply_to?: string | undefined;
    };
  };
  readonly typing: {
    readonly frame: { readonly room_id: string; readonly typing: boolean };
    readonly data: { readonly room_id: string };
  };
}

export type AllActions = Actions & NextActions;
export type AllActionName = ActionName | keyof NextActions;
