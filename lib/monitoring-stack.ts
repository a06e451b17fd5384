import { CfnOutput, CrossStackReferences, Duration, ReferenceStrength, Stack, type StackProps } from 'aws-cdk-lib';
import { Dashboard } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import { Alarms } from './constructs/alarms.ts';
import { MonthlyBudget } from './constructs/monthly-budget.ts';
import type { DataStack } from './data-stack.ts';
import { type Environment, isTopic } from './environments.ts';
import type { HttpStack } from './http-stack.ts';
import { alarmRows } from './monitoring/alarm-rows.ts';
import { widgets } from './monitoring/dashboard.ts';
import { metricsOf } from './monitoring/metrics.ts';
import type { RealtimeStack } from './realtime-stack.ts';

export interface MonitoringStackProps extends StackProps {
  readonly environment: Environment;
  readonly data: DataStack;
  readonly http: HttpStack;
  readonly realtime: RealtimeStack;
}

/**
 * One dashboard, and the alarms. monitoring/alarm-rows.ts has each alarm, with the reason for its threshold;
 * docs/operate/runbook.md says what to do.
 *
 * AWS charges for each metric of an alarm, so the functions of the HTTP API have no alarms of their own: callers get each of
 * their errors as a 5xx or wait for it. It also means that no stack refers to them, and an endpoint can be removed in one deployment.
 */
export class MonitoringStack extends Stack {
  constructor(scope: Construct, id: string, { environment, data, http, realtime, ...props }: MonitoringStackProps) {
    super(scope, id, props);
    // An export that an alarm uses would keep the other stacks from dropping or replacing a function, in an upgrade or a rollback.
    CrossStackReferences.of(this).consume(ReferenceStrength.WEAK);
    const topic = alarmTopic(this, environment.alarmTarget);
    const { alarmTarget, monthlyBudget, name } = environment;
    if (monthlyBudget !== undefined && alarmTarget !== undefined)
      new MonthlyBudget(this, 'MonthlyBudget', { name: `${id}-budget`, limit: monthlyBudget, target: alarmTarget });
    const metrics = metricsOf({ environment: name, data, http, realtime });
    const alarms = new Alarms(this, 'Alarms', name, topic && new SnsAction(topic));
    for (const [key, row] of Object.entries(alarmRows(metrics))) alarms.add(key, row);
    const dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName: `rooms-${name}`,
      defaultInterval: Duration.hours(3),
      widgets: widgets(name, metrics, alarms.all),
    });
    new CfnOutput(this, 'DashboardName', { value: dashboard.dashboardName });
  }
}

/** Returns the topic for alarms: an existing one, or a new one with a single subscriber, who has to confirm an email once. */
function alarmTopic(scope: Construct, target: string | undefined): ITopic | undefined {
  if (target === undefined) return undefined;
  if (isTopic(target)) return Topic.fromTopicArn(scope, 'AlarmTopic', target);
  const topic = new Topic(scope, 'AlarmTopic', { displayName: 'Alarms of Rooms', enforceSSL: true });
  topic.addSubscription(new EmailSubscription(target));
  topic.grantPublish(
    new ServicePrincipal('cloudwatch.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
  );
  return topic;
}
