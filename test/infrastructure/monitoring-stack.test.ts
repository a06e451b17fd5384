import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { metrics, NAMESPACE } from '../../core/contract/metrics.ts';
import type { Environment } from '../../lib/environments.ts';
import { at, countByType, ofType, onlyOne, synthesize } from './synthesize.ts';

const runbook = readFileSync(resolve(import.meta.dirname, '../../docs/operate/runbook.md'), 'utf8');
const E_MAIL = 'on-call@test.example';
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:on-call';
function monitoring(settings: Partial<Environment> = {}) {
  const stacks = synthesize('prod', settings);
  if (!stacks.monitoring) throw new Error('prod has no monitoring.');
  return { ...stacks, monitoring: stacks.monitoring };
}
const stacks = monitoring({ alarmTarget: E_MAIL });
const template = stacks.monitoring;
const alarms = ofType(template, 'AWS::CloudWatch::Alarm');
const PREFIX = 'rooms-prod-';
const keyOf = (alarm: unknown): string => String(at(alarm, 'AlarmName')).slice(PREFIX.length);
const byKey = new Map([...alarms.values()].map((alarm) => [keyOf(alarm), alarm]));
function alarm(key: string): unknown {
  const found = byKey.get(key);
  if (found === undefined) throw new Error(`There is no alarm ${key}.`);
  return found;
}

/** The parts of an alarm's metric math. */
const partsOf = (properties: unknown): { Id?: unknown; Expression?: unknown; MetricStat?: unknown }[] => {
  const parts: unknown = Object(properties).Metrics;
  return Array.isArray(parts) ? parts.map(Object) : [];
};

/** All metrics of an alarm, each with namespace, name, statistic, period in seconds, and dimensions. */
function metricsOf(properties: unknown): { name: string; statistic: string; period: number; dimensions: unknown }[] {
  const one = Object(properties);
  const parts: unknown[] = Array.isArray(one.Metrics) ? one.Metrics : [];
  const stats: unknown[] = parts.filter((part) => Object(part).MetricStat !== undefined);
  const simple = one.MetricName
    ? [{ Metric: one, Stat: one.Statistic ?? one.ExtendedStatistic, Period: one.Period }]
    : [];
  return [...simple, ...stats.map((part) => at(part, 'MetricStat'))].map((stat) => ({
    name: `${at(stat, 'Metric', 'Namespace')} ${at(stat, 'Metric', 'MetricName')}`,
    statistic: String(at(stat, 'Stat')),
    period: Number(at(stat, 'Period')),
    dimensions: Object(at(stat, 'Metric')).Dimensions,
  }));
}

/** The function with this code: its time-out, and the name under which its stack exports it. */
function functionOf(name: string): { timeout: number; exported: string } {
  for (const stack of [stacks.http, stacks.realtime])
    for (const [id, fn] of ofType(stack, 'AWS::Lambda::Function'))
      if (stacks.codeOf(fn) === name) return { timeout: Number(at(fn, 'Timeout')), exported: id };
  throw new Error(`${name} is not deployed.`);
}
const isOf = (dimensions: unknown, id: string): boolean => JSON.stringify(dimensions).includes(id);

const PUT_ASIDE = ['deliver-messages', 'room-changes', 'lane', 'presence', 'announce'];
const BEHIND = [...PUT_ASIDE, 'fan-out'];
const READERS = PUT_ASIDE.slice(0, 2);
/** The keys of all alarms. Other systems use the names, so none may be removed or renamed. */
const KEYS = [
  'http-5xx',
  'http-latency',
  'websocket-errors',
  'websocket-latency',
  ...BEHIND.flatMap((name) => [`${name}-errors`, `${name}-duration`]),
  ...PUT_ASIDE.map((name) => `${name}-dead-letters`),
  ...READERS.map((name) => `${name}-behind`),
  ...READERS.map((name) => `${name}-late`),
  'lane-late',
  'lane-behind',
  'presence-behind',
  'schedules',
  'throttles',
  'table-throttles',
  'table-errors',
];

describe('the monitoring stack', () => {
  test('contains only one dashboard, the alarms and their topic', () => {
    expect(countByType(template)).toEqual({
      'AWS::CloudWatch::Dashboard': 1,
      'AWS::CloudWatch::Alarm': KEYS.length,
      'AWS::SNS::Topic': 1,
      'AWS::SNS::TopicPolicy': 1,
      'AWS::SNS::Subscription': 1,
    });
    expect([...byKey.keys()].sort()).toEqual([...KEYS].sort());
  });

  test('does not exist in local, and neither do traces and custom metrics', () => {
    const { monitoring, http, realtime } = synthesize('local');
    expect(monitoring).toBeUndefined();
    for (const stack of [http, realtime]) {
      expect(JSON.stringify(stack.toJSON())).not.toMatch(/METRICS_ENVIRONMENT|xray/);
      for (const fn of ofType(stack, 'AWS::Lambda::Function').values()) expect(fn).not.toHaveProperty('TracingConfig');
    }
  });

  test('exists in dev, staging and prod, with traces', () => {
    for (const env of ['dev', 'staging', 'prod'] as const) {
      const { monitoring, http, realtime } = synthesize(env);
      expect(monitoring, env).toBeDefined();
      for (const stack of [http, realtime])
        for (const fn of ofType(stack, 'AWS::Lambda::Function').values())
          expect(fn).toMatchObject({
            TracingConfig: { Mode: 'Active' },
            Environment: { Variables: { METRICS_ENVIRONMENT: env } },
          });
    }
  });
});

describe('every alarm', () => {
  test('has a summary of one sentence, and a link to its section in the runbook', () => {
    for (const [key, properties] of byKey)
      expect(at(properties, 'AlarmDescription')).toMatch(
        new RegExp(`^\\S.*\\. What to do: docs/operate/runbook\\.md#${key}$`),
      );
  });

  test('treats missing data as not breaching', () => {
    for (const [key, properties] of byKey)
      expect(properties, key).toMatchObject({
        TreatMissingData: 'notBreaching',
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      });
  });

  test('keeps its logical ID, so that a release does not replace it', () => {
    const ids = KEYS.map((key) => `Alarm${key.replace(/(^|-)(\w)/g, (_, _dash, letter) => letter.toUpperCase())}`);
    expect([...alarms.keys()].sort()).toEqual(ids.sort());
  });

  test('has at most four metrics, because AWS charges for each', () => {
    for (const [key, properties] of byKey) {
      // DynamoDB has a separate metric of system errors for each operation.
      if (key === 'table-errors') continue;
      expect(metricsOf(properties).length, key).toBeGreaterThan(0);
      expect(metricsOf(properties).length, key).toBeLessThanOrEqual(4);
    }
  });

  test('treats metrics without data as 0 in a sum, with FILL', () => {
    const sums = [...byKey].flatMap(([key, properties]) =>
      partsOf(properties).flatMap(({ Expression }) =>
        typeof Expression === 'string' && Expression.includes(' + ') ? [{ key, Expression, properties }] : [],
      ),
    );
    expect(sums.map(({ key }) => key).sort()).toEqual([
      'schedules',
      'table-errors',
      'table-throttles',
      'websocket-errors',
    ]);
    for (const { key, Expression, properties } of sums) {
      const ids = partsOf(properties).flatMap(({ Id, MetricStat }) => (MetricStat === undefined ? [] : [Id]));
      expect({ key, terms: Expression.split(' + ').sort() }).toEqual({
        key,
        terms: ids.map((id) => `FILL(${id}, 0)`).sort(),
      });
    }
  });

  test('has a section in the runbook, and every section has an alarm', () => {
    const [, ...sections] = runbook.split(/^## Alarms$/m);
    expect(sections).toHaveLength(1);
    const headings = [...String(sections[0]).matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual([...new Set(headings)]);
    expect(headings.sort()).toEqual([...byKey.keys()].sort());
  });
});

describe('the runbook', () => {
  const [, alarmSections = ''] = runbook.split(/^## Alarms$/m);
  const sections = alarmSections.split(/^### /m).slice(1);

  test('has meaning, impact, diagnosis and resolution in each section', () => {
    for (const section of sections)
      expect([...section.matchAll(/^\*\*(.+?)\.\*\*/gm)].map(([, part]) => part)).toEqual([
        'Meaning',
        'Impact',
        'Diagnose',
        'Resolve',
      ]);
  });

  test('has a query for each alarm, or a link to the section with the query', () => {
    for (const section of sections) expect(section).toMatch(/^```$|^\*\*Diagnose\.\*\* The log query of \[/m);
  });

  test('links only to existing sections', () => {
    const anchors = [...runbook.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading.toLowerCase().replaceAll(' ', '-'),
    );
    for (const [, anchor] of runbook.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
  });

  test('queries only fields that the code logs', () => {
    const asked = new Set([...runbook.matchAll(/\bmessage\.(\w+)/g)].map(([, field = '']) => field));
    expect(asked.size).toBeGreaterThan(10);
    const root = resolve(import.meta.dirname, '../..');
    const code = globSync('{core,functions}/**/*.ts', { cwd: root })
      .map((file) => readFileSync(resolve(root, file), 'utf8'))
      .filter((text) => text.includes('console.') || text.includes('logError('))
      .join('\n');
    // The log line of a broadcast gets these fields by spreading its counts.
    const counts = ['sent', 'gone', 'failed', 'skipped', 'receivers', 'batches'];
    for (const field of asked)
      if (!counts.includes(field)) expect(code, field).toMatch(new RegExp(`[{\\s]${field}(:|,| })`));
  });
});

describe('alarms of the APIs', () => {
  const api = (stack: typeof template) => onlyOne(stack, 'AWS::ApiGatewayV2::Api').id;

  test('http-5xx: ≥ 1 % of requests, and at least 3, in two of three 5-minute periods', () => {
    const properties = alarm('http-5xx');
    expect(properties).toMatchObject({ Threshold: 1, DatapointsToAlarm: 2, EvaluationPeriods: 3 });
    expect(metricsOf(properties)).toMatchObject([
      { name: 'AWS/ApiGateway 5xx', statistic: 'Sum', period: 300 },
      { name: 'AWS/ApiGateway Count', statistic: 'SampleCount', period: 300 },
    ]);
    for (const { dimensions } of metricsOf(properties)) expect(isOf(dimensions, api(stacks.http))).toBe(true);
    expect(JSON.stringify(properties)).toContain('IF(errors >= 3, 100 * errors / requests, 0)');
  });

  test('websocket-errors: crashes, failures of the gateway, and `internal` errors', () => {
    const properties = alarm('websocket-errors');
    expect(metricsOf(properties).map(({ name }) => name)).toEqual([
      'AWS/ApiGateway IntegrationError',
      'AWS/ApiGateway ExecutionError',
      'Rooms Refused',
    ]);
    expect(metricsOf(properties)[2]?.dimensions).toEqual([
      { Name: 'code', Value: 'internal' },
      { Name: 'environment', Value: 'prod' },
      { Name: 'service', Value: 'websocket' },
    ]);
    expect(isOf(metricsOf(properties)[0]?.dimensions, api(stacks.realtime))).toBe(true);
  });

  test.each([
    ['http-latency', 'get-room'],
    ['websocket-latency', 'message'],
  ])("%s: p99 ≥ half of a function's time-out", (key, name) => {
    expect(metricsOf(alarm(key))).toMatchObject([{ name: 'AWS/ApiGateway IntegrationLatency', statistic: 'p99' }]);
    expect(at(alarm(key), 'Threshold')).toBe((functionOf(name).timeout * 1_000) / 2);
  });
});

describe.each(BEHIND)('alarms of %s', (name) => {
  const { timeout, exported } = functionOf(name);

  test('errors: ≥ 3 in each of two 5-minute periods', () => {
    const properties = alarm(`${name}-errors`);
    expect(metricsOf(properties)).toMatchObject([{ name: 'AWS/Lambda Errors', statistic: 'Sum', period: 300 }]);
    expect(isOf(metricsOf(properties)[0]?.dimensions, exported)).toBe(true);
    expect(properties).toMatchObject({ Threshold: 3, DatapointsToAlarm: 2 });
  });

  test("duration: p99 ≥ 80 % of the function's time-out", () => {
    const properties = alarm(`${name}-duration`);
    expect(metricsOf(properties)).toMatchObject([{ name: 'AWS/Lambda Duration', statistic: 'p99' }]);
    expect(isOf(metricsOf(properties)[0]?.dimensions, exported)).toBe(true);
    expect(at(properties, 'Threshold')).toBe(timeout * 800);
  });
});

describe('alarms of dead letters', () => {
  test.each(PUT_ASIDE)('%s: a single dead letter', (name) => {
    const properties = alarm(`${name}-dead-letters`);
    expect(metricsOf(properties)).toMatchObject([
      { name: 'AWS/SQS ApproximateNumberOfMessagesVisible', statistic: 'Maximum' },
    ]);
    const queue = `${name.replace(/(^|-)(\w)/g, (_, _dash, letter) => letter.toUpperCase())}DeadLetters`;
    expect(isOf(metricsOf(properties)[0]?.dimensions, queue)).toBe(true);
    expect(properties).toMatchObject({ Threshold: 1, EvaluationPeriods: 1 });
  });
});

describe('alarms of late delivery', () => {
  test.each([
    ['deliver-messages', 2_000],
    ['room-changes', 3_000],
    ['lane', 5_000],
  ])('%s: p99 ≥ %i ms from storing to delivery, for 15 minutes', (reader, threshold) => {
    const properties = alarm(`${reader}-late`);
    expect(properties).toMatchObject({ Threshold: threshold, DatapointsToAlarm: 3, EvaluationPeriods: 3 });
    expect(metricsOf(properties)).toMatchObject([{ name: 'Rooms StoredToDelivered', statistic: 'p99', period: 300 }]);
    expect(metricsOf(properties)[0]?.dimensions).toContainEqual({ Name: 'reader', Value: reader });
  });
});

describe('alarms of waiting events', () => {
  test.each(READERS)('%s: 1 minute behind the stream, in three of five minutes', (name) => {
    const properties = alarm(`${name}-behind`);
    expect(metricsOf(properties)).toMatchObject([{ name: 'AWS/Lambda IteratorAge', statistic: 'Maximum', period: 60 }]);
    expect(isOf(metricsOf(properties)[0]?.dimensions, functionOf(name).exported)).toBe(true);
    expect(properties).toMatchObject({ Threshold: 60_000, DatapointsToAlarm: 3, EvaluationPeriods: 5 });
  });

  test('presence: more than the grace period and one time-out of the queue', () => {
    const queue = ofType(stacks.realtime, 'AWS::SQS::Queue').get('PresenceQueue');
    const properties = alarm('presence-behind');
    expect(metricsOf(properties)).toMatchObject([{ name: 'AWS/SQS ApproximateAgeOfOldestMessage' }]);
    expect(isOf(metricsOf(properties)[0]?.dimensions, 'PresenceQueue')).toBe(true);
    expect(Number(at(properties, 'Threshold'))).toBeGreaterThan(10 + Number(at(queue, 'VisibilityTimeout')));
  });

  test('lanes: 1 minute, in three of five periods', () => {
    const properties = alarm('lane-behind');
    expect(metricsOf(properties)).toMatchObject([{ name: 'AWS/SQS ApproximateAgeOfOldestMessage', period: 60 }]);
    expect(isOf(metricsOf(properties)[0]?.dimensions, 'LaneQueue')).toBe(true);
    expect(properties).toMatchObject({ Threshold: 60, DatapointsToAlarm: 3, EvaluationPeriods: 5 });
  });

  test('schedules: failed invocations of the schedule group', () => {
    const [errors, dropped] = metricsOf(alarm('schedules'));
    expect([errors?.name, dropped?.name]).toEqual([
      'AWS/Scheduler TargetErrorCount',
      'AWS/Scheduler InvocationDroppedCount',
    ]);
    for (const metric of [errors, dropped]) expect(isOf(metric?.dimensions, 'ScheduleGroup')).toBe(true);
  });
});

describe('alarms of shared resources', () => {
  test('throttles: all functions of the account, because they share one limit', () => {
    expect(metricsOf(alarm('throttles'))).toEqual([
      { name: 'AWS/Lambda Throttles', statistic: 'Sum', period: 300, dimensions: undefined },
    ]);
  });

  test('the table: throttled requests of the table and of its index', () => {
    const found = metricsOf(alarm('table-throttles')).map(({ name, dimensions }) => [
      name,
      isOf(dimensions, 'RoomsTable'),
      isOf(dimensions, '{"Name":"GlobalSecondaryIndexName","Value":"GSI1"}'),
    ]);
    expect(found).toEqual([
      ['AWS/DynamoDB ReadThrottleEvents', true, false],
      ['AWS/DynamoDB WriteThrottleEvents', true, false],
      ['AWS/DynamoDB ReadThrottleEvents', true, true],
      ['AWS/DynamoDB WriteThrottleEvents', true, true],
    ]);
  });

  test('the table: system errors of every operation in use', () => {
    const operations = metricsOf(alarm('table-errors')).map(({ name, dimensions }) => {
      expect(name).toBe('AWS/DynamoDB SystemErrors');
      return Array.isArray(dimensions)
        ? dimensions.find((dimension) => at(dimension, 'Name') === 'Operation')?.Value
        : undefined;
    });
    const used = ['BatchGetItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'TransactWriteItems', 'UpdateItem'];
    expect(operations.sort()).toEqual(used);
  });
});

describe('the target of alarms', () => {
  const target = (properties: unknown) => [at(properties, 'AlarmActions'), at(properties, 'OKActions')];

  test('an email address: through a new topic with TLS, which only CloudWatch of this account may use', () => {
    const topic = onlyOne(template, 'AWS::SNS::Topic').id;
    for (const properties of byKey.values()) expect(target(properties)).toEqual([[{ Ref: topic }], [{ Ref: topic }]]);
    expect(onlyOne(template, 'AWS::SNS::Subscription').properties).toEqual({
      Protocol: 'email',
      Endpoint: E_MAIL,
      TopicArn: { Ref: topic },
    });
    const policy = at(onlyOne(template, 'AWS::SNS::TopicPolicy').properties, 'PolicyDocument', 'Statement');
    expect(policy).toEqual([
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      expect.objectContaining({
        Effect: 'Allow',
        Action: 'sns:Publish',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
      }),
    ]);
  });

  test('an existing topic', () => {
    const { monitoring: other } = monitoring({ alarmTarget: TOPIC });
    for (const properties of ofType(other, 'AWS::CloudWatch::Alarm').values())
      expect(target(properties)).toEqual([[TOPIC], [TOPIC]]);
    other.resourceCountIs('AWS::SNS::Topic', 0);
  });

  test('no target: alarms are only on the dashboard', () => {
    for (const properties of ofType(monitoring().monitoring, 'AWS::CloudWatch::Alarm').values()) {
      expect(properties).not.toHaveProperty('AlarmActions');
      expect(properties).not.toHaveProperty('OKActions');
    }
  });
});

describe('the dashboard', () => {
  const { properties } = onlyOne(template, 'AWS::CloudWatch::Dashboard');
  const text = JSON.stringify(at(properties, 'DashboardBody')).replaceAll('\\', '');

  test('is named after the environment', () => {
    expect(properties).toMatchObject({ DashboardName: 'rooms-prod' });
    template.hasOutput('DashboardName', {});
  });

  test('shows every custom metric, and the state of every alarm', () => {
    for (const name of Object.keys(metrics)) expect(text, name).toContain(name);
    expect(text).toContain(`"${NAMESPACE}"`);
    for (const id of alarms.keys()) expect(text, id).toContain(id);
  });
});

describe('a monthly budget', () => {
  const budgetOf = (alarmTarget: string) => {
    const { monitoring: template } = monitoring({ alarmTarget, monthlyBudget: 250 });
    return onlyOne(template, 'AWS::Budgets::Budget').properties;
  };

  test('exists only if it is configured', () => {
    stacks.monitoring.resourceCountIs('AWS::Budgets::Budget', 0);
  });

  test.each([
    [E_MAIL, 'EMAIL'],
    [TOPIC, 'SNS'],
  ])('notifies %s of actual and forecast costs', (address, SubscriptionType) => {
    const subscribers = [{ SubscriptionType, Address: address }];
    const above = (NotificationType: string, Threshold: number) => ({
      Notification: { NotificationType, ComparisonOperator: 'GREATER_THAN', Threshold, ThresholdType: 'PERCENTAGE' },
      Subscribers: subscribers,
    });
    expect(budgetOf(address)).toMatchObject({
      Budget: {
        BudgetName: 'rooms-prod-monitoring-budget',
        BudgetType: 'COST',
        TimeUnit: 'MONTHLY',
        BudgetLimit: { Amount: 250, Unit: 'USD' },
      },
      NotificationsWithSubscribers: [above('ACTUAL', 80), above('ACTUAL', 100), above('FORECASTED', 100)],
    });
  });
});
