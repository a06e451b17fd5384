import type { APIGatewayProxyStructuredResultV2, APIGatewayProxyWebsocketEventV2, Context } from 'aws-lambda';

/** The context that the authorizer attaches to every frame of a connection. API Gateway converts all values to text. */
export interface AuthorizerContext {
  readonly user_id: string;
  /** When the token expires, in epoch seconds. */
  readonly token_expires_at: string;
  /** Missing on connections that were authorized before there were two protocols. */
  readonly protocol?: string;
}

export type SocketEvent = APIGatewayProxyWebsocketEventV2 & {
  readonly requestContext: { readonly authorizer: AuthorizerContext };
};
export type SocketResult = APIGatewayProxyStructuredResultV2;
export type SocketHandler = (event: SocketEvent, context: Context) => Promise<SocketResult>;
