import type { RequestListener } from 'node:http';
import { stackOf } from '../../tools/cli/error-text.ts';
import type { EventBuses } from '../eventbridge/event-bus.ts';
import { isForLambda, type LambdaApi } from '../lambda/lambda-api.ts';
import type { Log } from '../log.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { SqsServer } from '../sqs/sqs.ts';
import { AwsError, answerError, isSigned } from './aws-request.ts';

/** Serves SQS, EventBridge, EventBridge Scheduler and Lambda on one endpoint. The request identifies the service. */
export function createAwsEndpoint(
  services: { sqs: SqsServer; buses: EventBuses; scheduler: Scheduler; lambda: LambdaApi },
  log: Log,
): RequestListener {
  return (request, response) => {
    const target = request.headers['x-amz-target'];
    const refuse = (error: unknown): void => {
      if (!(error instanceof AwsError)) log('aws', stackOf(error));
      answerError(response, error);
    };
    if (!isSigned(request))
      return refuse(new AwsError(403, 'MissingAuthenticationToken', 'The request is not signed.'));
    const { sqs, buses, lambda, scheduler } = services;
    if (typeof target === 'string' && target.startsWith('AmazonSQS.')) return sqs.handle(request, response);
    const service = target !== undefined ? buses : isForLambda(request.url ?? '') ? lambda : scheduler;
    service.handle(request, response).catch(refuse);
  };
}
