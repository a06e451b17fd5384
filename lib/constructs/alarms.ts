import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { pascal } from '../../core/contract/names.ts';
import { pinLogicalId } from './logical-id.ts';

/** The runbook, which has a section for each alarm with the alarm's key as its heading. */
const RUNBOOK = 'docs/operate/runbook.md';

export interface AlarmProps {
  /** The meaning of the alarm in one sentence. */
  readonly summary: string;
  /** The metric. Its period is the length of a data point. */
  readonly metric: IMetric;
  /** A data point at or above this value is breaching. */
  readonly threshold: number;
  /** How many of the last data points must be breaching, as `[breaching, evaluated]`. Default: 1 of 1. */
  readonly datapointsToAlarm?: readonly [breaching: number, of: number];
}

/** The alarms of one environment. Their names, `rooms-<environment>-<key>`, are stable, because other systems refer to them. */
export class Alarms extends Construct {
  readonly all: Alarm[] = [];
  readonly #environment: string;
  readonly #action: IAlarmAction | undefined;

  constructor(scope: Construct, id: string, environment: string, action: IAlarmAction | undefined) {
    super(scope, id);
    this.#environment = environment;
    this.#action = action;
  }

  /** @param key kebab case, the heading of its section in the runbook */
  add(key: string, { summary, metric, threshold, datapointsToAlarm: [breaching, of] = [1, 1] }: AlarmProps): Alarm {
    const alarm = new Alarm(this, key, {
      alarmName: `rooms-${this.#environment}-${key}`,
      alarmDescription: `${summary} What to do: ${RUNBOOK}#${key}`,
      metric,
      threshold,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      datapointsToAlarm: breaching,
      evaluationPeriods: of,
      // Without events, there are no errors.
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    pinLogicalId(alarm, `Alarm${pascal(key)}`);
    if (this.#action) {
      alarm.addAlarmAction(this.#action);
      alarm.addOkAction(this.#action);
    }
    this.all.push(alarm);
    return alarm;
  }
}
