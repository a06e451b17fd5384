import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import { ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { folderOf } from '../bundle.ts';
import { pinLogicalId } from './logical-id.ts';
import { type Permission, policy } from './permission.ts';
import { deadLetterQueue } from './queue.ts';
import { RoomsFunction, type RoomsFunctionProps } from './rooms-function.ts';
import type { RealtimeProps } from './socket-api.ts';

export interface AnnouncementsProps extends RealtimeProps {
  readonly variables: NonNullable<RoomsFunctionProps['variables']>;
  readonly permissions: readonly Permission[];
}

/** What it takes to tell everybody that a room starts or ends: schedules, and the function that they invoke. */
export class Announcements extends Construct {
  /** What the function needs to know that keeps the schedules in step with the rooms. */
  readonly variables: {
    readonly SCHEDULE_GROUP: string;
    readonly SCHEDULE_ROLE_ARN: string;
    readonly ANNOUNCE_FUNCTION_ARN: string;
  };
  /** What that function must be allowed. */
  readonly permissions: readonly Permission[];

  readonly handler: lambda.Function;
  readonly deadLetters: sqs.Queue;
  readonly group: ScheduleGroup;

  constructor(scope: Construct, id: string, { environment, bundles, variables, permissions }: AnnouncementsProps) {
    super(scope, id);
    this.deadLetters = deadLetterQueue(this, 'DeadLetters', 'AnnounceDeadLetters');
    const { handler } = new RoomsFunction(this, 'Announce', {
      name: 'announce',
      description: 'Invoked by schedules: tells everybody that a room has started or ended.',
      code: folderOf(bundles, 'announce'),
      environment,
      variables,
      permissions,
      // As for those that read the stream: it may post to a thousand connections.
      memory: 1_024,
      timeout: 60,
      deadLetters: this.deadLetters,
    });
    this.handler = handler;
    const group = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName: `rooms-${environment.name}`,
      // Its schedules invoke a function that goes with the stack.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    pinLogicalId(group, 'Schedules');
    this.group = group;
    const role = new iam.Role(this, 'ScheduleRole', {
      description: 'With which schedules invoke the function that announces',
      // Only for schedules of this group: the Scheduler must not lend the role to those of somebody else.
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: {
            'aws:SourceAccount': Stack.of(this).account,
            'aws:SourceArn': Stack.of(this).formatArn({
              service: 'scheduler',
              resource: 'schedule-group',
              resourceName: group.scheduleGroupName,
            }),
          },
        },
      }),
      inlinePolicies: { access: policy([{ actions: ['lambda:InvokeFunction'], resources: [handler.functionArn] }]) },
    });
    this.variables = {
      SCHEDULE_GROUP: group.scheduleGroupName,
      SCHEDULE_ROLE_ARN: role.roleArn,
      ANNOUNCE_FUNCTION_ARN: handler.functionArn,
    };
    this.permissions = [
      {
        actions: ['CreateSchedule', 'UpdateSchedule', 'DeleteSchedule'].map((each) => `scheduler:${each}`),
        resources: [
          Stack.of(this).formatArn({
            service: 'scheduler',
            resource: 'schedule',
            resourceName: `${group.scheduleGroupName}/*`,
          }),
        ],
        wildcard: 'A schedule is called after its room, which is made while the system runs.',
      },
      {
        actions: ['iam:PassRole'],
        resources: [role.roleArn],
        conditions: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
      },
    ];
  }
}
