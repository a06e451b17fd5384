import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer } from '../aws/aws-request.ts';
import type { BusEvent } from './event-bus.ts';

/** Shows the events on the buses, in the format that a rule would send to a back end. */
export const eventsRoute =
  (recent: () => readonly BusEvent[]) =>
  (_request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('cache-control', 'no-store');
    answer(response, 200, { events: recent() });
  };
