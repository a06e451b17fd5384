import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { onExit } from 'signal-exit';
import * as v from 'valibot';
import { type HttpApi, readHttpApis } from './apigateway/http-api.ts';
import { createHttpGateway } from './apigateway/http-gateway.ts';
import { claimFolder } from './cli/folder.ts';
import { claimPorts, type Ports } from './cli/ports.ts';
import { physicalOf } from './cloudformation/resources.ts';
import { type Assembly, synthesize } from './cloudformation/synth.ts';
import { createResolver, type Physical, REGION, type Resolver, type Resource } from './cloudformation/template.ts';
import { docsRoutes } from './docs.ts';
import { createTable, startDynamoDb, tableProperties } from './dynamodb/dynamodb-local.ts';
import { eventsRoute } from './eventbridge/events-route.ts';
import { createFunction, functionProperties, type LocalFunction } from './lambda/lambda.ts';
import { listen } from './listen.ts';
import { type LocalUrls, withLocalUrls } from './local-urls.ts';
import type { Log } from './log.ts';
import { type IdentityProvider, tokenOriginsOf } from './oidc/identity-provider.ts';
import { startOidcIssuer } from './oidc/oidc-issuer.ts';
import { readIfExists } from './read-if-exists.ts';
import { openRealtime } from './realtime.ts';
import { bucketProperties, CREDENTIALS, startS3 } from './s3/s3.ts';
import { bundleWebClient, webRoutes } from './web.ts';

/** The audience of the access tokens of the local issuer. */
export const AUDIENCE = 'rooms';

export interface StackOptions {
  /**
   * The port of the HTTP API. The other parts use the next ports. 0 for any free ports. Default: the ports of the
   * last run with the same data, or the first free ports (see `claimPorts`).
   */
  readonly port?: number | undefined;
  /** The data folder. Default: none; the data is lost when the stack is closed. */
  readonly dataDirectory?: string | undefined;
  /** Called with the port of the HTTP API as soon as it is known, before any log entry. */
  readonly onPort?: (port: number) => Promise<void>;
  /** The identity provider whose tokens are accepted. Default: the local issuer. */
  readonly identityProvider?: IdentityProvider | undefined;
  readonly log: Log;
  /** Receives log entries. */
  readonly progress?: (step: string) => void;
  /** Called if a part ends unexpectedly. The stack then no longer works. */
  readonly onFailure?: (reason: string) => void;
  /** Aborts the start: closes the started parts, then rejects. */
  readonly signal?: AbortSignal;
  /** Creates a function of the templates. Tests use it to add faults. Default: `createFunction`. */
  readonly createFunction?: typeof createFunction | undefined;
  /** Starts DynamoDB Local. Tests use it to restart the database. Default: `startDynamoDb`. */
  readonly startDynamoDb?: typeof startDynamoDb | undefined;
}

export interface LocalStack {
  /** URL of the HTTP API. No URL of the stack has a trailing slash. */
  readonly http: string;
  /** URL of the WebSocket API. */
  readonly ws: string;
  readonly issuer: string;
  readonly s3: string;
  readonly dynamodb: string;
  /** URL of SQS, EventBridge, EventBridge Scheduler and Lambda. */
  readonly aws: string;
  /** Closes all parts of the stack. */
  close(): Promise<void>;
}

/**
 * Starts the local stack: synthesizes the CDK app for the environment `local`, and serves its templates. If this fails, all started
 * parts are closed.
 *
 * @throws PortError, JavaError, FolderError, ProviderError: with messages for the user
 */
export async function startStack(options: StackOptions): Promise<LocalStack> {
  const { log, progress = () => {}, onFailure = () => {}, signal = new AbortController().signal } = options;
  const create = options.createFunction ?? createFunction;
  const startDatabase = options.startDynamoDb ?? startDynamoDb;
  const closers: (() => Promise<unknown>)[] = [];
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      // Closes the parts in reverse order, because each can depend on earlier ones.
      for (const closer of closers.reverse()) await closer();
    })();
    return closing;
  };
  const closeLater = <T extends { close(): Promise<unknown> }>(part: T): T => {
    closers.push(() => part.close());
    return part;
  };

  try {
    // Outside the repository, so that a bundle cannot import packages that Lambda does not have.
    const directory = await mkdtemp(join(tmpdir(), 'rooms-'));
    const removed = onExit(() => rmSync(directory, { recursive: true, force: true }));
    closers.push(() => rm(directory, { recursive: true, force: true }).finally(removed));
    const { dataDirectory } = options;
    if (dataDirectory) closeLater(await claimFolder(dataDirectory));

    // Opened first, so that an unavailable port is reported early. Responds with 503 until the API is ready.
    let handler: RequestListener = (_request, response) => {
      response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' });
      response.end('{"message":"Service Unavailable"}');
    };
    const { ports, http } = await claimPorts(
      { port: options.port, kept: dataDirectory === undefined ? undefined : await readPorts(dataDirectory) },
      (port) => listen((request, response) => handler(request, response), port),
    );
    closeLater(http);
    await options.onPort?.(http.port);
    const { identityProvider } = options;
    const issuer = identityProvider
      ? {
          url: identityProvider.issuer,
          port: ports.issuer,
          tokenOrigins: await tokenOriginsOf(identityProvider.issuer),
        }
      : closeLater(
          await startOidcIssuer({
            port: ports.issuer,
            audience: AUDIENCE,
            keysFile: dataDirectory && join(dataDirectory, 'issuer-keys.json'),
          }),
        );

    progress('Synthesizing the CDK app and starting DynamoDB Local');
    const context = { issuer: issuer.url, audience: identityProvider?.audience ?? AUDIENCE };
    const withoutJava = new AbortController();
    const parts = both(
      startDatabase({
        port: ports.dynamodb,
        directory: dataDirectory && join(dataDirectory, 'dynamodb'),
        onExit: onFailure,
      }).then(
        (running) => {
          progress('DynamoDB Local is running');
          return closeLater(running);
        },
        (error: unknown) => {
          withoutJava.abort(error);
          throw error;
        },
      ),
      synthesize(context, join(directory, 'cdk.out'), AbortSignal.any([signal, withoutJava.signal])),
    );
    const [[dynamodb, assembly], webClient] = await both(parts, bundleWebClient());
    signal.throwIfAborted();

    progress('The app is synthesized; creating the table and the bucket');
    const resolver = createResolver(assembly.stacks, physicalOf);
    const [s3] = await both(
      startS3({
        port: ports.s3,
        directory: join(dataDirectory ?? directory, 's3'),
        buckets: resolver.ofType('AWS::S3::Bucket').map((resource) => ({
          name: physical(resource, resolver).ref,
          properties: resolver.read(resource, bucketProperties),
        })),
      }).then(closeLater),
      createTables(resolver, dynamodb.url),
    );
    signal.throwIfAborted();

    const realtime = closeLater(await openRealtime({ resolver, dynamodbUrl: dynamodb.url, ports, dataDirectory, log }));
    const createNoticed: typeof createFunction = (...args) => noticed(create(...args), realtime.invoked);
    const functions = createFunctions(createNoticed, assembly, resolver, log, realtime.urls, {
      AWS_REGION: REGION,
      AWS_DEFAULT_REGION: REGION,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_ENDPOINT_URL_DYNAMODB: dynamodb.url,
      AWS_ENDPOINT_URL_S3: s3.url,
      ...realtime.environment,
      // The functions must not use the developer's AWS configuration.
      AWS_CONFIG_FILE: join(directory, 'no-config'),
      AWS_SHARED_CREDENTIALS_FILE: join(directory, 'no-credentials'),
    });
    for (const fn of functions.values()) closeLater(fn);
    await realtime.start(functions);
    const places = {
      http: http.url,
      ws: realtime.ws,
      issuer: issuer.url,
      clientId: identityProvider?.clientId,
      tokenOrigins: 'tokenOrigins' in issuer ? issuer.tokenOrigins : [issuer.url],
      s3: s3.url,
    };
    const localRoutes = {
      ...webRoutes(webClient, places),
      ...docsRoutes(),
      '/_local/events': eventsRoute(realtime.recentEvents),
    };
    if (dataDirectory)
      await writePorts(dataDirectory, {
        ...realtime.ports,
        http: http.port,
        issuer: issuer.port,
        s3: s3.port,
        dynamodb: dynamodb.port,
      });
    handler = createHttpGateway(onlyApi(resolver), { functions, localRoutes, log });

    return { ...places, dynamodb: dynamodb.url, aws: `http://127.0.0.1:${realtime.ports.aws}`, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Like Promise.all, but waits for both promises before it rejects, so that all started parts can be closed. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

const portsFile = v.object({
  http: v.number(),
  issuer: v.number(),
  s3: v.number(),
  dynamodb: v.number(),
  ws: v.number(),
  aws: v.number(),
});
const portsFileOf = (dataDirectory: string): string => join(dataDirectory, 'ports.json');

/** Returns the ports of the last run with this data, so that URLs in open tabs keep working. */
async function readPorts(dataDirectory: string): Promise<Ports | undefined> {
  const text = await readIfExists(portsFileOf(dataDirectory));
  const ports = v.safeParse(v.pipe(v.string(), v.parseJson(), portsFile), text);
  return ports.success ? ports.output : undefined;
}

const writePorts = (dataDirectory: string, ports: Ports): Promise<void> =>
  writeFile(portsFileOf(dataDirectory), `${JSON.stringify(ports, null, 2)}\n`);

/** Returns the counterpart of a resource that has one. */
function physical(resource: Resource, resolver: Resolver): Physical {
  const found = physicalOf(resource, resolver);
  if (!found) throw new Error(`${resource.stack}/${resource.id}: the local stack has no ${resource.type}.`);
  return found;
}

async function createTables(resolver: Resolver, endpoint: string): Promise<void> {
  const client = new DynamoDBClient({ endpoint, region: REGION, credentials: CREDENTIALS });
  try {
    for (const resource of resolver.ofType('AWS::DynamoDB::Table'))
      await createTable(client, physical(resource, resolver).ref, resolver.read(resource, tableProperties));
  } finally {
    client.destroy();
  }
}

/** Calls `invoked` after each invocation of a function. */
const noticed = (fn: LocalFunction, invoked: () => void): LocalFunction => ({
  ...fn,
  async invoke(event) {
    const result = await fn.invoke(event);
    invoked();
    return result;
  },
});

/** The functions of the templates, by ARN. */
function createFunctions(
  create: typeof createFunction,
  assembly: Assembly,
  resolver: Resolver,
  log: Log,
  urls: LocalUrls,
  environment: Readonly<Record<string, string>>,
): Map<string, LocalFunction> {
  const functions = new Map<string, LocalFunction>();
  for (const resource of resolver.ofType('AWS::Lambda::Function')) {
    const { ref: name, attributes } = physical(resource, resolver);
    const arn = attributes.Arn ?? name;
    const properties = resolver.read(resource, functionProperties);
    const directory = assembly.assets.get(properties.Code.S3Key);
    if (!directory) throw new Error(`${resource.stack}/${resource.id}: no asset has the key ${properties.Code.S3Key}.`);
    const config = {
      name,
      arn,
      directory,
      handler: properties.Handler,
      variables: { ...withLocalUrls(properties.Environment.Variables, urls), ...environment },
      timeoutSeconds: properties.Timeout,
      memoryMegabytes: properties.MemorySize,
      logFormat: properties.LoggingConfig.LogFormat,
      logGroup: properties.LoggingConfig.LogGroup ?? `/aws/lambda/${name}`,
      deadLetters: properties.DeadLetterConfig.TargetArn,
    };
    functions.set(arn, create(config, log));
  }
  return functions;
}

function onlyApi(resolver: Resolver): HttpApi {
  const [api, ...others] = readHttpApis(resolver, (resource) => physical(resource, resolver).ref);
  if (!api || others.length > 0)
    throw new Error(`The local stack serves one HTTP API; the templates have ${api ? others.length + 1 : 0}.`);
  return api;
}
