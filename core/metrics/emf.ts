import { isRehearsal } from '../aws/prime.ts';
import type { ErrorCode } from '../contract/errors.ts';
import { type MetricName, metrics, NAMESPACE, type Service } from '../contract/metrics.ts';
import type { Variable } from '../env.ts';

/*
 * Metrics in CloudWatch's embedded metric format: a line of the log from which CloudWatch takes them, without a call and
 * without a package. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

export type Values = { readonly [Name in MetricName]?: number };

const ENVIRONMENT: Variable = 'METRICS_ENVIRONMENT';

/** The line. Zeros are left out: a metric that has no value costs nothing, and is read as zero. Undefined where nothing is left. */
export function metricsLine(
  dimensions: { readonly environment: string; readonly service: Service; readonly code?: ErrorCode },
  values: Values,
  now: number,
): string | undefined {
  const counted = Object.entries(metrics).flatMap(([name, unit]) => {
    const value = values[name as MetricName];
    return value ? [{ name, unit, value }] : [];
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
 * Counts. Only where the environment variable METRICS_ENVIRONMENT is set: there is nobody to read it on a developer's machine.
 * Straight to standard output: what goes through `console` is wrapped by Lambda's JSON log format, and no longer in the format
 * that CloudWatch looks for.
 */
export function count(service: Service, values: Values, code?: ErrorCode): void {
  const environment = process.env[ENVIRONMENT];
  if (!environment || isRehearsal()) return;
  const line = metricsLine({ environment, service, ...(code && { code }) }, values, Date.now());
  if (line) process.stdout.write(`${line}\n`);
}
