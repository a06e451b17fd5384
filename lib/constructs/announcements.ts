import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { EventFunction } from './event-function.ts';
import { pinLogicalId } from './logical-id.ts';
import { type Permission, policy } from './permission.ts';
import { deadLetterQueue } from './queue.ts';
import type { RoomsFunctionProps } from './rooms-function.ts';
import type { RealtimeProps } from './socket-api.ts';

export interface AnnouncementsProps extends RealtimeProps {
  readonly variables: NonNullable<RoomsFunctionProps['variables']>;
  readonly permissions: readonly Permission[];
}

/**
 * The function that announces the starts and ends of rooms, and the role with which schedules invoke it. Schedules belong to
 * the data stack, and can be due in 10 years. Each contains the ARNs of the function and of the role, so both have fixed
 * names. Therefore, existing schedules work again after this stack was deleted and deployed again.
 */
export class Announcements extends Construct {
  /** Variables of a function that keeps the schedules in sync with the rooms. */
  readonly variables: {
    readonly SCHEDULE_GROUP: string;
    readonly SCHEDULE_ROLE_ARN: string;
    readonly ANNOUNCE_FUNCTION_ARN: string;
  };
  /** Permissions of that function. */
  readonly permissions: readonly Permission[];

  readonly handler: lambda.Function;
  readonly deadLetters: sqs.Queue;
  readonly role: iam.Role;

  constructor(
    scope: Construct,
    id: string,
    { environment, data, bundles, variables, permissions }: AnnouncementsProps,
  ) {
    super(scope, id);
    this.deadLetters = deadLetterQueue(this, 'DeadLetters', 'AnnounceDeadLetters');
    const { handler } = new EventFunction(this, 'Announce', {
      name: 'announce',
      bundles,
      data,
      functionName: `rooms-${environment.name}-announce`,
      environment,
      variables,
      permissions,
      deadLetters: this.deadLetters,
    });
    this.handler = handler;
    pinLogicalId(handler, 'AnnounceFunction');
    const { scheduleGroupName } = data.schedules;
    const role = new iam.Role(this, 'ScheduleRole', {
      // The name contains the region, because roles are global in an account.
      roleName: `rooms-${environment.name}-schedules-${Stack.of(this).region}`,
      description: 'Used by schedules to invoke the function announce',
      // The Scheduler may use the role only for schedules of this group.
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: {
            'aws:SourceAccount': Stack.of(this).account,
            'aws:SourceArn': Stack.of(this).formatArn({
              service: 'scheduler',
              resource: 'schedule-group',
              resourceName: scheduleGroupName,
            }),
          },
        },
      }),
      inlinePolicies: { access: policy([{ actions: ['lambda:InvokeFunction'], resources: [handler.functionArn] }]) },
    });
    pinLogicalId(role, 'ScheduleRole');
    this.role = role;
    this.variables = {
      SCHEDULE_GROUP: scheduleGroupName,
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
            resourceName: `${scheduleGroupName}/*`,
          }),
        ],
        wildcard: 'The name of a schedule contains the ID of its room, which is not known at deployment.',
      },
      {
        actions: ['iam:PassRole'],
        resources: [role.roleArn],
        conditions: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
      },
    ];
  }
}
