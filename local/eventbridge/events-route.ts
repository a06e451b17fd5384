import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer } from '../aws/aws-request.ts';
import type { BusEvent } from './event-bus.ts';

/** Shows what was put on the event buses: what a rule there would hand to a back end. */
export const eventsRoute =
  (recent: () => readonly BusEvent[]) =>
  (_request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('cache-control', 'no-store');
    answer(response, 200, { events: recent() });
  };
