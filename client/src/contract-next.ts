import type {
  ActionName,
  Actions,
  AddParticipantsBody,
  ChangeRoomBody,
  CreateRoomBody,
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
}

export type AllOperations = Operations & NextOperations;
export type AllOperationName = OperationName | keyof NextOperations;

export const ALL_OPERATIONS: {
  readonly [Name in AllOperationName]: { readonly method: string; readonly path: string };
} = {
  ...OPERATIONS,
};

interface NextActions {
  readonly typing: {
    readonly frame: { readonly room_id: string; readonly typing: boolean };
    readonly data: { readonly room_id: string };
  };
}

export type AllActions = Actions & NextActions;
export type AllActionName = ActionName | keyof NextActions;
