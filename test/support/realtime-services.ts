import { afterAll, beforeEach } from 'vitest';
import { type FanOut, startFanOut } from './fan-out.ts';
import { type Management, startManagement } from './management.ts';
import { type Services, startServices } from './services.ts';

/**
 * Starts the services of real-time functions for all tests of a file: the connection management endpoint, SQS,
 * EventBridge, Scheduler and Lambda. They are reset before each test.
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

/** Like `startRealtimeServices`, and also starts the fan-out function behind Lambda's API. */
export async function startDeliveryServices(): Promise<{ management: Management; services: Services; fanOut: FanOut }> {
  const [started, fanOut] = await Promise.all([startRealtimeServices(), startFanOut()]);
  beforeEach(() => fanOut.reset());
  afterAll(() => fanOut.close());
  return { ...started, fanOut };
}
