import type { Duration } from 'aws-cdk-lib';
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

/** Where each alarm has its section, headed by its key. */
const RUNBOOK = 'docs/operate/runbook.md';

export interface AlarmProps {
  /** One sentence. */
  readonly says: string;
  /** Its period is how long a data point is. */
  readonly metric: IMetric;
  /** From this value on, a data point is bad. */
  readonly from: number;
  /** How many data points must be bad, of how many. Default: one of one. */
  readonly bad?: readonly [bad: number, of: number];
}

/** The alarms of one environment. Their names are `rooms-<environment>-<key>`, and stay: people write them into other systems. */
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
  add(key: string, { says, metric, from, bad: [bad, of] = [1, 1] }: AlarmProps): Alarm {
    const alarm = new Alarm(this, key, {
      alarmName: `rooms-${this.#environment}-${key}`,
      alarmDescription: `${says} What to do: ${RUNBOOK}#${key}`,
      metric,
      threshold: from,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      datapointsToAlarm: bad,
      evaluationPeriods: of,
      // Where nothing happens, nothing goes wrong.
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

/**
 * A share, in percent, where `part` is `least` at least in a period: one failure of three requests at night gets nobody out of
 * bed, while an outage does that every request at night meets.
 */
export const percent = (part: string, whole: string, least: number): string =>
  `IF(${part} >= ${least}, 100 * ${part} / ${whole}, 0)`;

/** What a function may take at most before it is worth a look: four fifths of its time-out, in milliseconds. */
export const closeToTimeout = (timeout: Duration | undefined): number => {
  if (timeout === undefined) throw new Error('The function has no time-out.');
  return 0.8 * timeout.toMilliseconds();
};
