import type { APIGatewayProxyStructuredResultV2, APIGatewayProxyWebsocketEventV2, Context } from 'aws-lambda';

/** The authorizer's context, which API Gateway adds to every frame of a connection. All values are strings. */
export interface AuthorizerContext {
  readonly user_id: string;
  /** When the token expires, in epoch seconds. */
  readonly token_expires_at: string;
  /** Missing on connections from before there were two protocols. */
  readonly protocol?: string;
}

export type SocketEvent = APIGatewayProxyWebsocketEventV2 & {
  readonly requestContext: { readonly authorizer: AuthorizerContext };
};
export type SocketResult = APIGatewayProxyStructuredResultV2;
export type SocketHandler = (event: SocketEvent, context: Context) => Promise<SocketResult>;
