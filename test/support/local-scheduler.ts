import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { answerError } from '../../local/aws/aws-request.ts';
import { startScheduler } from '../../local/scheduler/scheduler.ts';

export interface SchedulerRequest {
  readonly method: string;
  /** The name of the schedule. */
  readonly name: string;
  readonly response: ServerResponse;
}

/**
 * Starts the local Scheduler with schedules that invoke nothing. Returns a client.
 *
 * @param onRequest called with each request; an error that it throws becomes the response
 */
export async function startLocalScheduler(
  group: string,
  onRequest: (request: SchedulerRequest) => void | Promise<void>,
): Promise<{ readonly client: SchedulerClient; close(): Promise<unknown> }> {
  const scheduler = await startScheduler({ groups: [group], invoke: async () => {}, file: undefined, log: () => {} });
  const server = createServer(async (request, response) => {
    try {
      const name = request.url?.split('/').at(-1)?.split('?')[0] ?? '';
      await onRequest({ method: request.method ?? '', name, response });
      await scheduler.handle(request, response);
    } catch (error) {
      answerError(response, error);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    client: new SchedulerClient({ endpoint, maxAttempts: 1 }),
    async close() {
      server.close();
      server.closeAllConnections();
      await scheduler.close();
    },
  };
}
