import { RoomsClient } from '../client.ts';
import type { RoomsClientOptions, TokenSource } from '../options.ts';
import type { Service } from './types.ts';

/** The two addresses of Rooms. */
export type Addresses = Pick<RoomsClientOptions, 'url' | 'wsUrl'>;

/** Options of the client, for example `WebSocket` where there is no global one. */
export type ConnectorOptions = Omit<RoomsClientOptions, 'url' | 'wsUrl' | 'token'>;

const NO_GRPC = 'Rooms does not use gRPC. Remove what reads the metadata or options of gRPC from the connector.';

function addressesOf(uri: string | Addresses): Addresses {
  if (typeof uri !== 'string') return uri;
  const [url = '', wsUrl, ...others] = uri.trim().split(/\s+/);
  if (!wsUrl || others.length > 0)
    throw new Error(
      'Rooms has two addresses. Give both to the connector, separated by a space: "https://rooms.example.com wss://ws.example.com/v1".',
    );
  return { url, wsUrl };
}

/** `Connector` of `ion-sdk-js/lib/connector`, on top of Rooms. */
export class Connector {
  /** The Rooms client, for functions that the Ion SDK does not have: history, files, participants. */
  readonly client: RoomsClient;
  readonly uri: string;
  readonly services: Map<string, Service> = new Map();
  /** Called when a service is connected, also after an outage. */
  onopen?: (service: Service) => void;
  /** Called when a service loses its connection. The SDK reconnects automatically, unless the service was closed. */
  onclose?: (service: Service, ev: Event) => void;

  /**
   * @param uri the URLs of the HTTP API and of the WebSocket API, separated by a space, or both in an object
   * @param token an access token, or a function that returns one. With a string, the connection is lost permanently
   * when the token expires
   *
   * @throws Error if one of the addresses is missing
   */
  constructor(uri: string | Addresses, token: string | TokenSource = '', options: ConnectorOptions = {}) {
    const addresses = addressesOf(uri);
    this.uri = `${addresses.url} ${addresses.wsUrl ?? ''}`.trim();
    const source = typeof token === 'function' ? token : () => token.replace(/^Bearer /i, '');
    this.client = new RoomsClient({ ...options, ...addresses, token: source });
  }

  /** Registers a service. `Room` does so itself. */
  registerService(service: Service): void {
    this.services.set(service.name, service);
  }

  /** Closes all services that are connected. */
  close(): void {
    for (const service of this.services.values()) if (service.connected) service.close();
  }

  /** Not part of Rooms: throws. */
  get metadata(): never {
    throw new Error(NO_GRPC);
  }

  /** Not part of Rooms: throws. */
  grpcClientRpcOptions(): never {
    throw new Error(NO_GRPC);
  }

  /** Not part of Rooms: throws. */
  onHeaders(_service: Service, _headers: unknown): void {
    throw new Error(NO_GRPC);
  }

  /** Not part of Rooms: throws. */
  onEnd(_service: Service, _status: unknown, _statusMessage: string, _trailers: unknown): void {
    throw new Error(NO_GRPC);
  }
}
