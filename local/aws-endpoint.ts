import type { RequestListener } from 'node:http';
import { AwsError, answerError, isSigned } from './aws-request.ts';
import type { EventBuses } from './event-bus.ts';
import type { Log } from './log.ts';
import type { Scheduler } from './scheduler.ts';
import type { SqsServer } from './sqs.ts';

/** One endpoint for SQS, EventBridge and EventBridge Scheduler: which of them is meant follows from the request. */
export function createAwsEndpoint(
  services: { sqs: SqsServer; buses: EventBuses; scheduler: Scheduler },
  log: Log,
): RequestListener {
  return (request, response) => {
    const target = request.headers['x-amz-target'];
    const refuse = (error: unknown): void => {
      if (!(error instanceof AwsError))
        log('aws', error instanceof Error ? (error.stack ?? error.message) : String(error));
      answerError(response, error);
    };
    if (!isSigned(request))
      return refuse(new AwsError(403, 'MissingAuthenticationToken', 'The request is not signed.'));
    if (typeof target === 'string' && target.startsWith('AmazonSQS.')) return services.sqs.handle(request, response);
    const service = typeof target === 'string' ? services.buses : services.scheduler;
    service.handle(request, response).catch(refuse);
  };
}
