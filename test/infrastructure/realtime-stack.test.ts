import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { allEntries } from '../../lib/entries.ts';
import { withDeadLetters } from '../../lib/event-functions.ts';
import { memoryOf } from '../../lib/memory.ts';
import { type Allowed, permissions, sorted, tracing, within } from './permissions.ts';
import { AUDIENCE, at, countByType, ISSUER, ofType, onlyOne, synthesize, withImports } from './synthesize.ts';

const { data, http, realtime, codeOf } = synthesize('dev', { logRetentionDays: 5 });
const prod = synthesize('prod');

const roles = ofType(realtime, 'AWS::IAM::Role');
const queues = ofType(realtime, 'AWS::SQS::Queue');
const mappings = [...ofType(realtime, 'AWS::Lambda::EventSourceMapping').values()];
const api = onlyOne(realtime, 'AWS::ApiGatewayV2::Api').id;
const bus = onlyOne(realtime, 'AWS::Events::EventBus');

/** The functions of the stack, by the name of their code. */
const functions = new Map(
  [...ofType(realtime, 'AWS::Lambda::Function')].map(([id, properties]) => {
    const roleId = String(at(properties, 'Role', 'Fn::GetAtt', 0));
    return [codeOf(properties), { id, properties, roleId, role: roles.get(roleId) }] as const;
  }),
);
function functionOf(name: string) {
  const found = functions.get(name);
  if (found === undefined) throw new Error(`${name} is not deployed.`);
  return found;
}

const arnOf = (id: string) => ({ 'Fn::GetAtt': [id, 'Arn'] });
const arn = (service: string, ...rest: unknown[]) => ({
  'Fn::Join': [
    '',
    [
      'arn:',
      { Ref: 'AWS::Partition' },
      `:${service}:`,
      { Ref: 'AWS::Region' },
      ':',
      { Ref: 'AWS::AccountId' },
      ...rest,
    ],
  ],
});

const table = arnOf('RoomsTable');
const index = { 'Fn::Join': ['', [table, '/index/GSI1']] };
const objects = { 'Fn::Join': ['', [arnOf('FilesBucket'), '/rooms/*']] };
const stream = { 'Fn::GetAtt': ['RoomsTable', 'StreamArn'] };
const connections = (method: string) => arn('execute-api', ':', { Ref: api }, `/v1/${method}/@connections/*`);

/** The event source mapping of a function. */
const mappingOf = (name: string): unknown =>
  mappings.find((each) => at(each, 'FunctionName', 'Ref') === functionOf(name).id);
const failureQueueOf = (name: string): string =>
  String(at(mappingOf(name), 'DestinationConfig', 'OnFailure', 'Destination', 'Fn::GetAtt', 0));
const laneQueue = String(at(mappingOf('lane'), 'EventSourceArn', 'Fn::GetAtt', 0));
const laneDeadLetters = String(at(queues.get(laneQueue), 'RedrivePolicy', 'deadLetterTargetArn', 'Fn::GetAtt', 0));
const presenceQueue = String(at(mappingOf('presence'), 'EventSourceArn', 'Fn::GetAtt', 0));
const announceQueue = String(at(functionOf('announce').properties, 'DeadLetterConfig', 'TargetArn', 'Fn::GetAtt', 0));

const trusts = (role: unknown): unknown => at(role, 'AssumeRolePolicyDocument', 'Statement', 0, 'Principal', 'Service');
const scheduleRole = [...roles].find(([, role]) => trusts(role) === 'scheduler.amazonaws.com');
if (scheduleRole === undefined) throw new Error('Schedules have no role.');

const on = (service: string, resource: unknown, ...actions: string[]): Allowed[] =>
  actions.map((action) => [`${service}:${action}`, resource]);
/** Permissions for items in these kinds of partitions only. */
const items = (partitions: readonly string[], ...actions: string[]): Allowed[] =>
  actions.map((action) => [`dynamodb:${action}`, table, within(partitions)]);
const manageConnections: Allowed[] = ['POST', 'DELETE'].flatMap((method) =>
  on('execute-api', connections(method), 'ManageConnections'),
);
const checkConnections: Allowed[] = ['GET', 'POST', 'DELETE'].flatMap((method) =>
  on('execute-api', connections(method), 'ManageConnections'),
);
const broadcasting: Allowed[] = [
  ...items(['ROOM'], 'Query', 'UpdateItem', 'DeleteItem', 'PutItem'),
  ...manageConnections,
  ...on('sqs', arnOf(laneQueue), 'SendMessage'),
];
const reading: Allowed[] = on('dynamodb', stream, 'DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams');

const TABLE_NAME = { Ref: 'RoomsTable' };
/** The default of the user limit `framesPer10Seconds`. */
const USER_FRAME_LIMIT = '300';
const CALLBACK_URL = {
  'Fn::Join': [
    '',
    ['https://', { Ref: api }, '.execute-api.', { Ref: 'AWS::Region' }, '.', { Ref: 'AWS::URLSuffix' }, '/v1'],
  ],
};
const FAN_OUT_FUNCTION_ARN = arnOf(functionOf('fan-out').id);
const EVENT_BUS_NAME = { Ref: bus.id };
const API_GATEWAY_QUOTA = '10000';
const LANE_QUEUE_URL = { Ref: laneQueue };

const scheduling: readonly Allowed[] = [
  ...on(
    'scheduler',
    arn('scheduler', ':schedule/rooms-dev-schedules/*'),
    'CreateSchedule',
    'UpdateSchedule',
    'DeleteSchedule',
  ),
  ['iam:PassRole', arnOf(scheduleRole[0]), { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } }],
];
const SCHEDULES = {
  SCHEDULE_GROUP: 'rooms-dev-schedules',
  SCHEDULE_ROLE_ARN: arnOf(scheduleRole[0]),
  ANNOUNCE_FUNCTION_ARN: arnOf(functionOf('announce').id),
};

interface Expected {
  readonly timeout?: number;
  readonly variables: Readonly<Record<string, unknown>>;
  /** In addition to writing its log. */
  readonly allowed: readonly Allowed[];
}

/**
 * The expected settings of each function. Deliberately not derived from the code under test, so that a change must be
 * made here, too.
 */
const expected: Readonly<Record<string, Expected>> = {
  authorizer: { variables: { ISSUER, AUDIENCE: AUDIENCE.join(',') }, allowed: [] },
  connect: { variables: {}, allowed: [] },
  disconnect: {
    timeout: 29,
    variables: { TABLE_NAME },
    allowed: [
      ...items(['ROOM'], 'UpdateItem'),
      ...items(['ROOM', 'USER'], 'DeleteItem'),
      ['dynamodb:Query', index, within(['CONNECTION'])],
    ],
  },
  default: { variables: { TABLE_NAME, USER_FRAME_LIMIT }, allowed: items(['USER'], 'UpdateItem') },
  ping: {
    variables: { TABLE_NAME, USER_FRAME_LIMIT },
    allowed: [...items(['USER'], 'UpdateItem'), ...items(['ROOM', 'USER'], 'BatchGetItem')],
  },
  subscribe: { variables: { TABLE_NAME, USER_FRAME_LIMIT }, allowed: items(['USER'], 'UpdateItem', 'GetItem') },
  join: {
    variables: { TABLE_NAME, USER_FRAME_LIMIT },
    allowed: [
      ...items(['ROOM', 'CHAT'], 'BatchGetItem'),
      ...items(['ROOM'], 'PutItem'),
      ...items(['ROOM', 'USER'], 'UpdateItem'),
    ],
  },
  leave: {
    variables: { TABLE_NAME, USER_FRAME_LIMIT },
    allowed: [...items(['ROOM', 'USER'], 'UpdateItem'), ...items(['ROOM'], 'DeleteItem')],
  },
  message: {
    variables: { TABLE_NAME, USER_FRAME_LIMIT, BUCKET_NAME: { Ref: 'FilesBucket' } },
    allowed: [
      ...items(['ROOM', 'CHAT'], 'BatchGetItem', 'GetItem'),
      ...items(['CHAT', 'ROOM'], 'PutItem', 'ConditionCheckItem'),
      ...items(['USER', 'ROOM', 'CHAT'], 'UpdateItem'),
      ...on('s3', objects, 'GetObject'),
    ],
  },
  typing: {
    variables: { TABLE_NAME, USER_FRAME_LIMIT, CALLBACK_URL },
    allowed: [
      ...items(['ROOM'], 'BatchGetItem', 'Query'),
      ...on('execute-api', connections('POST'), 'ManageConnections'),
    ],
  },
  'deliver-messages': {
    timeout: 60,
    variables: { TABLE_NAME, CALLBACK_URL, LANE_QUEUE_URL, API_GATEWAY_QUOTA },
    allowed: [
      ...broadcasting,
      ...items(['CHAT'], 'BatchGetItem'),
      ...reading,
      ...on('sqs', arnOf(failureQueueOf('deliver-messages')), 'SendMessage'),
    ],
  },
  'room-changes': {
    timeout: 60,
    variables: {
      TABLE_NAME,
      CALLBACK_URL,
      LANE_QUEUE_URL,
      API_GATEWAY_QUOTA,
      BUCKET_NAME: { Ref: 'FilesBucket' },
      PRESENCE_QUEUE_URL: { Ref: presenceQueue },
      EVENT_BUS_NAME,
      ...SCHEDULES,
    },
    allowed: [
      // Like the other functions that broadcast, and additionally for the subscribed connections of users.
      ...broadcasting.filter(
        ([action]) => !['Query', 'DeleteItem', 'UpdateItem'].some((each) => action === `dynamodb:${each}`),
      ),
      ...items(['ROOM'], 'BatchGetItem', 'GetItem'),
      ...items(['ROOM', 'USER'], 'Query', 'DeleteItem', 'UpdateItem'),
      ...on('s3', objects, 'DeleteObject'),
      ...reading,
      ...on('sqs', arnOf(failureQueueOf('room-changes')), 'SendMessage'),
      ...on('sqs', arnOf(presenceQueue), 'SendMessage'),
      ...on('events', arnOf(bus.id), 'PutEvents'),
      ...scheduling,
    ],
  },
  'fan-out': {
    timeout: 30,
    variables: { TABLE_NAME, CALLBACK_URL, API_GATEWAY_QUOTA },
    allowed: [...items(['ROOM'], 'UpdateItem', 'DeleteItem', 'PutItem'), ...manageConnections],
  },
  lane: {
    timeout: 60,
    variables: { TABLE_NAME, CALLBACK_URL, LANE_QUEUE_URL, FAN_OUT_FUNCTION_ARN, API_GATEWAY_QUOTA },
    allowed: [
      ...items(['ROOM'], 'Query', 'UpdateItem', 'DeleteItem', 'PutItem'),
      ...items(['CHAT'], 'BatchGetItem'),
      ...manageConnections,
      ...on('lambda', arnOf(functionOf('fan-out').id), 'InvokeFunction'),
      ...on(
        'sqs',
        arnOf(laneQueue),
        'ReceiveMessage',
        'DeleteMessage',
        'GetQueueAttributes',
        'ChangeMessageVisibility',
      ),
    ],
  },
  presence: {
    variables: {
      TABLE_NAME,
      CALLBACK_URL,
      LANE_QUEUE_URL,
      API_GATEWAY_QUOTA,
      PRESENCE_QUEUE_URL: { Ref: presenceQueue },
      EVENT_BUS_NAME,
      ...SCHEDULES,
    },
    allowed: [
      ...on('events', arnOf(bus.id), 'PutEvents'),
      ...scheduling,
      ...items(['ROOM'], 'PutItem', 'UpdateItem', 'DeleteItem', 'BatchGetItem', 'GetItem'),
      ...items(['ROOM', 'USER'], 'Query'),
      ...checkConnections,
      ...on('sqs', arnOf(laneQueue), 'SendMessage'),
      ...on('sqs', arnOf(presenceQueue), 'SendMessage', 'ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'),
    ],
  },
  announce: {
    timeout: 60,
    variables: { TABLE_NAME, CALLBACK_URL, LANE_QUEUE_URL, API_GATEWAY_QUOTA, EVENT_BUS_NAME },
    allowed: [
      ...broadcasting.filter(([action]) => action !== 'dynamodb:PutItem'),
      ...items(['ROOM'], 'GetItem', 'BatchGetItem'),
      ...items(['ROOM', 'CHAT'], 'PutItem', 'ConditionCheckItem'),
      ...on('events', arnOf(bus.id), 'PutEvents'),
      ...on('sqs', arnOf(announceQueue), 'SendMessage'),
    ],
  },
};
const names = Object.keys(expected);

describe('the real-time stack', () => {
  test('deploys each function once that the HTTP stack does not deploy', () => {
    const deployed = [http, realtime].flatMap((template) =>
      [...ofType(template, 'AWS::Lambda::Function').values()].map(codeOf),
    );
    expect(deployed.sort()).toEqual(allEntries.map(({ name }) => name).sort());
    const here = allEntries.filter(({ file }) => !file.startsWith('functions/http/')).map(({ name }) => name);
    expect([...functions.keys()].sort()).toEqual(here.sort());
    expect([...names].sort()).toEqual(here.sort());
  });

  test('contains exactly the expected resources', () => {
    const each = names.length;
    expect(countByType(realtime)).toEqual({
      'AWS::ApiGatewayV2::Api': 1,
      'AWS::ApiGatewayV2::Stage': 1,
      'AWS::ApiGatewayV2::Authorizer': 1,
      'AWS::ApiGatewayV2::Route': 9,
      'AWS::ApiGatewayV2::RouteResponse': 7,
      'AWS::ApiGatewayV2::Integration': 9,
      'AWS::ApiGateway::Account': 1,
      'AWS::Lambda::Permission': 10,
      'AWS::Lambda::Function': each,
      'AWS::Lambda::EventSourceMapping': 4,
      // Two more, for API Gateway and for the schedules.
      'AWS::IAM::Role': each + 2,
      // One more for the access log.
      'AWS::Logs::LogGroup': each + 1,
      // The presence queue, the lane queue, and five dead-letter queues: two for the stream readers, two for the
      // queues, and one for the schedules.
      'AWS::SQS::Queue': 7,
      'AWS::SQS::QueuePolicy': 7,
      'AWS::Events::EventBus': 1,
    });
  });

  test('lets only the presence function invoke itself through a queue, because Lambda stops such loops by default', () => {
    const allowed = [...functions].filter(([, { properties }]) => 'RecursiveLoop' in Object(properties));
    expect(allowed.map(([name, { properties }]) => [name, at(properties, 'RecursiveLoop')])).toEqual([
      ['presence', 'Allow'],
    ]);
  });

  test('can be deleted in every environment, because it holds no data', () => {
    expect(JSON.stringify(prod.realtime.toJSON())).not.toContain('DeletionProtection');
  });
});

describe.each(names.map((name) => [name, expected[name] ?? fail(name)] as const))('%s', (name, wanted) => {
  test('runs on Node 24 and arm64, with the memory and time-out that it needs', () => {
    expect(functionOf(name).properties).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: 'start.handler',
      MemorySize: memoryOf(name),
      Timeout: wanted.timeout ?? 10,
      LoggingConfig: { LogFormat: 'JSON' },
      TracingConfig: { Mode: 'Active' },
    });
  });

  test("has a description within Lambda's limit", () => {
    expect(String(at(functionOf(name).properties, 'Description')).length).toBeLessThanOrEqual(256);
  });

  test('sets the variables that the function reads, and no others', () => {
    const environment = at(functionOf(name).properties, 'Environment');
    expect(withImports(environment, data)).toEqual({ Variables: { ...wanted.variables, METRICS_ENVIRONMENT: 'dev' } });
  });

  test('grants only what the function needs, and writing its own log', () => {
    const { role, properties, roleId } = functionOf(name);
    const log = arnOf(String(at(properties, 'LoggingConfig', 'LogGroup', 'Ref')));
    const all = [...on('logs', log, 'CreateLogStream', 'PutLogEvents'), ...tracing, ...wanted.allowed];
    expect(sorted(permissions(role, data))).toEqual(sorted(all));
    expect(role).not.toHaveProperty('ManagedPolicyArns');
    expect(at(role, 'AssumeRolePolicyDocument', 'Statement')).toEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } },
    ]);
    const others = [...functions].filter(([other]) => other !== name).map(([, fn]) => fn);
    expect(others.map((fn) => fn.roleId)).not.toContain(roleId);
    expect(others.map((fn) => arnOf(String(at(fn.properties, 'LoggingConfig', 'LogGroup', 'Ref'))))).not.toContainEqual(
      log,
    );
  });
});

function fail(name: string): never {
  throw new Error(`Nothing is expected of ${name}.`);
}

describe('permissions as a whole', () => {
  test('have no wildcard in an action, and in a resource only after a known prefix', () => {
    for (const role of [...functions.values()].map((fn) => fn.role))
      for (const [action, resource] of permissions(role, data)) {
        expect(action).not.toContain('*');
        if (action.startsWith('xray:')) continue;
        const text = JSON.stringify(resource).replace(
          /(\/rooms|\/@connections|:schedule\/rooms-dev-schedules)\/\*/,
          '',
        );
        expect(text).not.toContain('*');
      }
  });

  test('are granted by roles only', () => {
    for (const type of ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy', 'AWS::IAM::RolePolicy'])
      realtime.resourceCountIs(type, 0);
  });

  test('let schedules of the group invoke only the announce function', () => {
    const [, role] = scheduleRole;
    expect(permissions(role, data)).toEqual([['lambda:InvokeFunction', arnOf(functionOf('announce').id)]]);
    expect(role).not.toHaveProperty('ManagedPolicyArns');
    expect(at(role, 'AssumeRolePolicyDocument', 'Statement')).toEqual([
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: { Service: 'scheduler.amazonaws.com' },
        Condition: {
          StringEquals: {
            'aws:SourceAccount': { Ref: 'AWS::AccountId' },
            'aws:SourceArn': arn('scheduler', ':schedule-group/rooms-dev-schedules'),
          },
        },
      },
    ]);
  });
});

describe('logs', () => {
  test('are kept for the retention period of the environment', () => {
    const groups = ofType(realtime, 'AWS::Logs::LogGroup');
    for (const [id, properties] of groups) expect(properties, id).toMatchObject({ RetentionInDays: 5 });
    realtime.allResources('AWS::Logs::LogGroup', { DeletionPolicy: 'Delete' });
    prod.realtime.allResources('AWS::Logs::LogGroup', { DeletionPolicy: 'Retain' });
  });
});

describe('readers of the table’s stream', () => {
  const filters = {
    'deliver-messages': [
      { eventName: ['INSERT', 'MODIFY'], dynamodb: { Keys: { SK: { S: [{ prefix: 'MESSAGE#' }] } } } },
    ],
    'room-changes': [
      { dynamodb: { Keys: { SK: { S: ['ROOM', { prefix: 'PARTICIPANT#' }] } } } },
      {
        eventName: ['INSERT'],
        dynamodb: { Keys: { SK: { S: [{ prefix: 'CONNECTION!' }, { prefix: 'WARNED#' }, { prefix: 'ANNOUNCED#' }] } } },
      },
      {
        eventName: ['REMOVE'],
        userIdentity: { principalId: ['dynamodb.amazonaws.com'] },
        dynamodb: { Keys: { SK: { S: [{ prefix: 'CONNECTION#' }, { prefix: 'FILE#' }] } } },
      },
    ],
  };

  test('are two, the maximum for a shard', () => {
    const readers = mappings.filter((each) => JSON.stringify(each).includes('StreamArn'));
    expect(readers).toHaveLength(Object.keys(filters).length);
  });

  test.each(Object.entries(filters))('%s is invoked only for relevant records', (name, wanted) => {
    expect(withImports(at(mappingOf(name), 'EventSourceArn'), data)).toEqual(stream);
    const patterns = at(mappingOf(name), 'FilterCriteria', 'Filters');
    expect(Array.isArray(patterns) ? patterns.map(({ Pattern }) => JSON.parse(Pattern)) : patterns).toEqual(wanted);
  });

  test.each(Object.keys(filters))(
    '%s continues after failures, and sends records that it cannot process to a dead-letter queue',
    (name) => {
      expect(mappingOf(name)).toEqual({
        EventSourceArn: expect.anything(),
        FunctionName: expect.anything(),
        FilterCriteria: expect.anything(),
        Tags: expect.anything(),
        StartingPosition: 'TRIM_HORIZON',
        BatchSize: 100,
        ParallelizationFactor: 1,
        BisectBatchOnFunctionError: true,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
        MaximumRetryAttempts: 5,
        MaximumRecordAgeInSeconds: 3_600,
        DestinationConfig: { OnFailure: { Destination: arnOf(failureQueueOf(name)) } },
      });
    },
  );

  test('require a table with a stream', () => {
    expect(onlyOne(data, 'AWS::DynamoDB::Table').properties).toMatchObject({
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
    });
  });
});

describe('queues', () => {
  const failureQueues = [failureQueueOf('deliver-messages'), failureQueueOf('room-changes'), announceQueue];

  test('are encrypted, and reject requests without TLS', () => {
    for (const [id, properties] of queues) {
      expect(properties, id).toMatchObject({ SqsManagedSseEnabled: true });
      realtime.hasResourceProperties('AWS::SQS::QueuePolicy', {
        Queues: [{ Ref: id }],
        PolicyDocument: {
          Statement: [
            {
              Effect: 'Deny',
              Action: 'sqs:*',
              Principal: { AWS: '*' },
              Condition: { Bool: { 'aws:SecureTransport': 'false' } },
              Resource: arnOf(id),
            },
          ],
        },
      });
    }
  });

  test('keep dead letters as long as SQS can, in one queue for each function', () => {
    const deadLetters = [
      ...failureQueues,
      String(at(queues.get(presenceQueue), 'RedrivePolicy', 'deadLetterTargetArn', 'Fn::GetAtt', 0)),
      laneDeadLetters,
    ];
    expect(new Set(deadLetters).size).toBe(5);
    for (const id of deadLetters)
      expect(queues.get(id), id).toEqual({
        MessageRetentionPeriod: 14 * 24 * 3_600,
        SqsManagedSseEnabled: true,
        Tags: expect.anything(),
        ...(id === laneDeadLetters && { FifoQueue: true }),
      });
    expect([...queues.keys()].sort()).toEqual([laneQueue, presenceQueue, ...deadLetters].sort());
  });

  test("hide presence messages for six times the function's time-out, and make them dead letters after 5 attempts", () => {
    expect(queues.get(presenceQueue)).toMatchObject({
      VisibilityTimeout: 6 * Number(at(functionOf('presence').properties, 'Timeout')),
      RedrivePolicy: { maxReceiveCount: 5 },
    });
    expect(mappingOf('presence')).toEqual({
      EventSourceArn: arnOf(presenceQueue),
      FunctionName: { Ref: functionOf('presence').id },
      BatchSize: 10,
      ScalingConfig: { MaximumConcurrency: 20 },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      Tags: expect.anything(),
    });
  });
});

describe('the queue of lanes', () => {
  test("keeps the order of each room, and hides messages longer than the function's time-out", () => {
    expect(queues.get(laneQueue)).toMatchObject({
      FifoQueue: true,
      DeduplicationScope: 'messageGroup',
      FifoThroughputLimit: 'perMessageGroupId',
      VisibilityTimeout: 30 + Number(at(functionOf('lane').properties, 'Timeout')),
      MessageRetentionPeriod: 3_600,
      RedrivePolicy: { maxReceiveCount: 5 },
    });
    expect(mappingOf('lane')).toEqual({
      EventSourceArn: arnOf(laneQueue),
      FunctionName: { Ref: functionOf('lane').id },
      BatchSize: 10,
      ScalingConfig: { MaximumConcurrency: 20 },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      Tags: expect.anything(),
    });
  });
});

describe('concurrency', () => {
  const reserved = ({ http, realtime, codeOf }: Pick<typeof prod, 'http' | 'realtime' | 'codeOf'>) =>
    Object.fromEntries(
      [http, realtime]
        .flatMap((template) => [...ofType(template, 'AWS::Lambda::Function').values()])
        .flatMap((fn) => {
          const { ReservedConcurrentExecutions: share } = Object(fn);
          return share === undefined ? [] : [[codeOf(fn), share]];
        }),
    );

  test('is reserved in prod for functions that a burst could block, or that could block others', () => {
    expect(reserved(prod)).toEqual({
      'deliver-messages': 100,
      'room-changes': 100,
      'fan-out': 150,
      announce: 50,
      disconnect: 150,
    });
  });

  test('is not reserved in dev, whose account may have a low limit', () => {
    expect(reserved({ http, realtime, codeOf })).toEqual({});
  });
});

describe('the outputs for redriving dead letters', () => {
  const failureQueues = new Map([
    ['deliver-messages', failureQueueOf('deliver-messages')],
    ['room-changes', failureQueueOf('room-changes')],
    ['lane', laneDeadLetters],
    ['presence', String(at(queues.get(presenceQueue), 'RedrivePolicy', 'deadLetterTargetArn', 'Fn::GetAtt', 0))],
    ['announce', announceQueue],
  ]);

  test.each(withDeadLetters)('%s: function and queue are outputs of the stack', (name) => {
    const output = name.replace(/(^|-)(\w)/g, (_, _dash, letter) => letter.toUpperCase());
    realtime.hasOutput(`${output}FunctionName`, { Value: { Ref: functionOf(name).id } });
    realtime.hasOutput(`${output}DeadLettersUrl`, { Value: { Ref: failureQueues.get(name) } });
  });
});

describe('the event bus and the schedules', () => {
  test('are named after the environment', () => {
    expect(bus.properties).toMatchObject({ Name: 'rooms-dev' });
    data.hasResourceProperties('AWS::Scheduler::ScheduleGroup', { Name: 'rooms-dev-schedules' });
    realtime.hasOutput('EventBusName', { Value: { Ref: bus.id } });
    prod.realtime.hasResourceProperties('AWS::Events::EventBus', { Name: 'rooms-prod' });
    prod.data.hasResourceProperties('AWS::Scheduler::ScheduleGroup', { Name: 'rooms-prod-schedules' });
  });

  test('outlive this stack: the schedule group is in the stack of the table', () => {
    realtime.resourceCountIs('AWS::Scheduler::ScheduleGroup', 0);
    // If the group is deleted with the data stack, `npm run reschedule` creates the schedules again.
    prod.data.hasResource('AWS::Scheduler::ScheduleGroup', { DeletionPolicy: 'Delete' });
  });

  test('are in the outputs that `npm run reschedule` needs', () => {
    data.hasOutput('ScheduleGroupName', { Value: Match.anyValue() });
    realtime.hasOutput('AnnounceFunctionArn', { Value: arnOf(functionOf('announce').id) });
    realtime.hasOutput('ScheduleRoleArn', { Value: arnOf(scheduleRole[0]) });
  });
});
