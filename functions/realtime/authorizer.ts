import type { APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { count } from '../../core/platform/emf.ts';
import { inInit } from '../../core/platform/prime.ts';
import { chooseProtocol, fetchKeys, identify, tokenOf } from '../../core/realtime/identity.ts';

/** Accepts clients with a valid access token. All others get a 401. */
async function authorize(event: APIGatewayRequestAuthorizerEvent) {
  const identity = await identify(tokenOf(event.headers ?? {})).catch((error: unknown) => {
    // The issuer cannot be reached. Counted here, because Lambda's error count also contains rejected tokens.
    count('websocket', { Refused: 1 }, 'internal');
    throw error;
  });
  const { requestId: api_request_id, connectionId: connection_id } = event.requestContext;
  const line = { action: 'authorize', api_request_id, connection_id };
  if ('refused' in identity) {
    console.info({ ...line, refused: identity.refused });
    // API Gateway converts exactly this message to a 401.
    throw new Error('Unauthorized');
  }
  console.info({ ...line, user: identity.user_id });
  return {
    principalId: identity.user_id,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: event.methodArn }],
    },
    // API Gateway adds the context to every later invocation of the connection: see docs/decisions/0030-rooms-v2.md.
    context: { ...identity, protocol: chooseProtocol(event.headers ?? {}) },
  };
}

export const handler = Object.assign(authorize, { ready: inInit(fetchKeys) });
