import type { ErrorCode } from '../contract/errors.ts';
import { type MetricName, metrics, NAMESPACE, type Reader, type Service } from '../contract/metrics.ts';
import type { Variable } from './env.ts';
import { isRehearsal } from './prime.ts';

/*
 * Metrics in CloudWatch's embedded metric format: log lines that CloudWatch turns into metrics, without an API call
 * and without a package.
 * @see
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

/** A list has one value per measurement, at most 100. */
export type Values = { readonly [Name in MetricName]?: number | readonly number[] };

export interface Dimensions {
  readonly environment: string;
  readonly service: Service;
  readonly code?: ErrorCode;
  readonly reader?: Reader;
}

const isNothing = (value: number | readonly number[] | undefined): boolean =>
  typeof value === 'object' ? value.length === 0 : !value;

const ENVIRONMENT: Variable = 'METRICS_ENVIRONMENT';

/**
 * Returns the line, or undefined if it would be empty. Zeros are omitted: a missing metric costs nothing, and counts as
 * zero.
 */
export function metricsLine(dimensions: Dimensions, values: Values, now: number): string | undefined {
  const counted = Object.entries(metrics).flatMap(([name, unit]) => {
    const value = values[name as MetricName];
    return isNothing(value) ? [] : [{ name, unit, value }];
  });
  if (counted.length === 0) return undefined;
  return JSON.stringify({
    _aws: {
      Timestamp: now,
      CloudWatchMetrics: [
        {
          Namespace: NAMESPACE,
          Dimensions: [Object.keys(dimensions)],
          Metrics: counted.map(({ name, unit }) => ({ Name: name, Unit: unit })),
        },
      ],
    },
    ...dimensions,
    ...Object.fromEntries(counted.map(({ name, value }) => [name, value])),
  });
}

/**
 * Writes metrics if the environment variable METRICS_ENVIRONMENT is set, which it is not on a developer's machine.
 * Writes to standard output: Lambda's JSON log format wraps `console` output, so CloudWatch would not find the metrics
 * there.
 */
export const count = (service: Service, values: Values, code?: ErrorCode): void =>
  write({ service, ...(code && { code }) }, values);

/** Writes metrics of a function that reads the stream. */
export const countReader = (reader: Reader, values: Values): void => write({ service: 'events', reader }, values);

function write(dimensions: Omit<Dimensions, 'environment'>, values: Values): void {
  const environment = process.env[ENVIRONMENT];
  if (!environment || isRehearsal()) return;
  const line = metricsLine({ environment, ...dimensions }, values, Date.now());
  if (line) process.stdout.write(`${line}\n`);
}
