import { type App, type Environment as AwsEnvironment, Tags } from 'aws-cdk-lib';
import { bundle } from './bundle.ts';
import { DataStack } from './data-stack.ts';
import { allEntries } from './entries.ts';
import type { Environment } from './environments.ts';
import { HttpStack } from './http-stack.ts';
import { MonitoringStack } from './monitoring-stack.ts';
import { RealtimeStack } from './realtime-stack.ts';

export interface RoomsStacks {
  readonly data: DataStack;
  readonly http: HttpStack;
  readonly realtime: RealtimeStack;
  /** Undefined if the environment has no monitoring. */
  readonly monitoring: MonitoringStack | undefined;
}

/**
 * Adds the stacks of one environment to the app. References between stacks are exports (cdk.json makes them strong),
 * so that CloudFormation does not delete the data while the API exists.
 */
export function addStacks(app: App, environment: Environment): RoomsStacks {
  const { name, account, region, retainData } = environment;
  const env: AwsEnvironment = { ...(account && { account }), ...(region && { region }) };
  // Also protects the stacks without data, because their APIs would get new URLs after a deletion.
  const common = { env, environment, terminationProtection: retainData };
  const data = new DataStack(app, `rooms-${name}-data`, {
    ...common,
    description: `Rooms, ${name}: the table and the bucket`,
  });
  const bundles = bundle(allEntries);
  const http = new HttpStack(app, `rooms-${name}-http`, {
    ...common,
    description: `Rooms, ${name}: the HTTP API`,
    data,
    bundles,
  });
  const realtime = new RealtimeStack(app, `rooms-${name}-realtime`, {
    ...common,
    description: `Rooms, ${name}: the WebSocket API and the events of rooms`,
    data,
    bundles,
  });
  const monitoring = environment.monitoring
    ? new MonitoringStack(app, `rooms-${name}-monitoring`, {
        ...common,
        description: `Rooms, ${name}: dashboard and alarms`,
        data,
        http,
        realtime,
      })
    : undefined;
  Tags.of(app).add('application', 'rooms');
  Tags.of(app).add('environment', name);
  return { data, http, realtime, monitoring };
}
