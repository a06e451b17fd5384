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
 * The dashboard and the alarms. monitoring/alarm-rows.ts has the alarms with the reasons for their thresholds, and
 * docs/operate/runbook.md describes the response to each.
 *
 * The functions of the HTTP API have no alarms of their own, because AWS charges for each metric, and the alarms of the API cover
 * their errors and latency. As a result, no other stack refers to them, and an endpoint can be removed in one deployment.
 */
export class MonitoringStack extends Stack {
  constructor(scope: Construct, id: string, { environment, data, http, realtime, ...props }: MonitoringStackProps) {
    super(scope, id, props);
    // With strong references, the other stacks could not remove or replace a function that has an alarm.
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
