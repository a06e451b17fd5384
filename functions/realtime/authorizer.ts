import type { APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { identify, tokenOf } from '../../core/realtime/identity.ts';

/** Lets a client connect whose access token is valid; everything else is a 401. */
export const handler = async (event: APIGatewayRequestAuthorizerEvent) => {
  const identity = await identify(tokenOf(event.headers ?? {}));
  if (!identity) throw new Error('Unauthorized');
  return {
    principalId: identity.user_id,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: event.methodArn }],
    },
    context: identity,
  };
};
