import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { environmentNames } from '../../lib/environments.ts';
import { synthesize } from './synthesize.ts';

/*
 * Logical IDs of resources that must not be replaced: they would lose data or get another address. CloudFormation
 * replaces a resource whose logical ID changes. Add new resources here, and never change or remove an entry.
 */

const DATA = {
  RoomsTable: 'AWS::DynamoDB::Table',
  FilesBucket: 'AWS::S3::Bucket',
  Schedules: 'AWS::Scheduler::ScheduleGroup',
};
const HTTP = { HttpApi: 'AWS::ApiGatewayV2::Api' };
const REALTIME = {
  WebSocketApi: 'AWS::ApiGatewayV2::Api',
  Bus: 'AWS::Events::EventBus',
  LaneQueue: 'AWS::SQS::Queue',
  LaneDeadLetters: 'AWS::SQS::Queue',
  PresenceQueue: 'AWS::SQS::Queue',
  PresenceDeadLetters: 'AWS::SQS::Queue',
  DeliverMessagesDeadLetters: 'AWS::SQS::Queue',
  RoomChangesDeadLetters: 'AWS::SQS::Queue',
  AnnounceDeadLetters: 'AWS::SQS::Queue',
};
const HTTP_LOGS = [
  'AddParticipantsLogs',
  'ChangeRoomLogs',
  'CreateDownloadLogs',
  'CreateRoomLogs',
  'CreateUploadLogs',
  'DeleteMessageLogs',
  'EditMessageLogs',
  'EndRoomLogs',
  'GetRoomLogs',
  'GrantAdminLogs',
  'HttpAccessLogs',
  'LeaveRoomLogs',
  'ListMessageChangesLogs',
  'ListMessagesLogs',
  'ListParticipantsLogs',
  'ListRoomsLogs',
  'MarkReadLogs',
  'RemoveParticipantsLogs',
  'RevokeAdminLogs',
  'SetRoleLogs',
  'UpdateProfileLogs',
];
const REALTIME_LOGS = [
  'AnnounceLogs',
  'AuthorizerLogs',
  'ConnectLogs',
  'DefaultLogs',
  'DeliverMessagesLogs',
  'DisconnectLogs',
  'FanOutLogs',
  'JoinLogs',
  'LaneLogs',
  'LeaveLogs',
  'MessageLogs',
  'PingLogs',
  'PresenceLogs',
  'RoomChangesLogs',
  'SubscribeLogs',
  'TypingLogs',
  'WebSocketAccessLogs',
];

const STATEFUL = new Set([...Object.values({ ...DATA, ...HTTP, ...REALTIME }), 'AWS::Logs::LogGroup']);

/** The stateful resources of a template, by logical ID, with their types. */
const stateful = (template: Template): Record<string, string> =>
  Object.fromEntries(
    Object.entries(template.toJSON().Resources as Record<string, { Type: string }>)
      .map(([id, { Type }]): [string, string] => [id, Type])
      .filter(([, type]) => STATEFUL.has(type)),
  );
const logGroups = (ids: readonly string[]) => Object.fromEntries(ids.map((id) => [id, 'AWS::Logs::LogGroup']));

describe.each(environmentNames.map((name) => [name, synthesize(name)] as const))('in %s', (name, stacks) => {
  test('table, bucket and schedules keep their logical IDs', () => {
    const thrownAway = !stacks.protected[0];
    expect(stateful(stacks.data)).toEqual({ ...DATA, ...logGroups(thrownAway ? ['EmptyBucketLogs'] : []) });
  });

  test('the HTTP API and its logs keep their logical IDs', () => {
    expect(stateful(stacks.http)).toEqual({ ...HTTP, ...logGroups(HTTP_LOGS) });
  });

  test('the WebSocket API, bus, queues and their logs keep their logical IDs', () => {
    expect(stateful(stacks.realtime)).toEqual({ ...REALTIME, ...logGroups(REALTIME_LOGS) });
  });

  // Schedules contain these ARNs for up to 10 years, so another name would break existing schedules. With another
  // logical ID, CloudFormation would try to create a second resource of the same name, which fails.
  test('the function and the role of schedules keep their names and logical IDs', () => {
    expect(stacks.realtime.toJSON().Resources).toMatchObject({
      AnnounceFunction: { Type: 'AWS::Lambda::Function', Properties: { FunctionName: `rooms-${name}-announce` } },
      ScheduleRole: {
        Type: 'AWS::IAM::Role',
        Properties: {
          RoleName: { 'Fn::Join': ['', [`rooms-${name}-schedules-`, { Ref: 'AWS::Region' }]] },
        },
      },
    });
    expect(stacks.data.toJSON().Resources).toMatchObject({
      Schedules: { Properties: { Name: `rooms-${name}-schedules` } },
    });
  });
});
