import { afterAll, beforeEach } from 'vitest';
import { type FanOut, startFanOut } from './fan-out.ts';
import { type Management, startManagement } from './management.ts';
import { type Services, startServices } from './services.ts';

/**
 * Starts what real-time functions reach beside the table, for all tests of a file: the connection management endpoint, and SQS, EventBridge,
 * Scheduler and Lambda. Before each test they forget the tests before it.
 */
export async function startRealtimeServices(): Promise<{ management: Management; services: Services }> {
  const [management, services] = await Promise.all([startManagement(), startServices()]);
  process.env.CALLBACK_URL = management.url;
  beforeEach(() => {
    management.reset();
    services.reset();
  });
  afterAll(() => Promise.all([management.close(), services.close()]));
  return { management, services };
}

/** As `startRealtimeServices`, with the fan-out function behind the endpoint of Lambda. */
export async function startDeliveryServices(): Promise<{ management: Management; services: Services; fanOut: FanOut }> {
  const [started, fanOut] = await Promise.all([startRealtimeServices(), startFanOut()]);
  beforeEach(() => fanOut.reset());
  afterAll(() => fanOut.close());
  return { ...started, fanOut };
}
