import { randomUUID } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import * as v from 'valibot';
import type { Log } from '../log.ts';
import type { Invocation, Report } from './lambda-worker.ts';

/** The properties of AWS::Lambda::Function that the local stack uses. Defaults are those of CloudFormation. */
export const functionProperties = v.object({
  FunctionName: v.optional(v.string()),
  Handler: v.string(),
  Code: v.object({ S3Key: v.string() }),
  Environment: v.optional(
    v.object({ Variables: v.optional(v.record(v.string(), v.pipe(v.unknown(), v.transform(String))), {}) }),
    {},
  ),
  /** Time-out in seconds. */
  Timeout: v.optional(v.number(), 3),
  /** Memory in megabytes. */
  MemorySize: v.optional(v.number(), 128),
  DeadLetterConfig: v.optional(v.object({ TargetArn: v.optional(v.string()) }), {}),
  LoggingConfig: v.optional(
    v.object({ LogFormat: v.optional(v.picklist(['JSON', 'Text']), 'Text'), LogGroup: v.optional(v.string()) }),
    {},
  ),
});

export interface FunctionConfig {
  readonly name: string;
  readonly arn: string;
  /** The folder of the bundle. */
  readonly directory: string;
  readonly handler: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  readonly memoryMegabytes: number;
  readonly logFormat: 'JSON' | 'Text';
  readonly logGroup: string;
  /** ARN of the dead-letter queue for asynchronous events. */
  readonly deadLetters?: string | undefined;
}

/** The outcome of an invocation: the handler's result, or `{errorType, errorMessage}`, as JSON text. */
export interface InvocationResult {
  readonly ok: boolean;
  readonly payload: string;
}

export interface LocalFunction {
  readonly config: FunctionConfig;
  /** Invokes the function and waits for its result. Never rejects: a failure is `ok: false`. */
  invoke(event: string): Promise<InvocationResult>;
  /** Ends its execution environments at once. */
  close(): Promise<void>;
}

/**
 * Maximum number of execution environments of one function. Further invocations wait. Lambda's limit is 1,000 for an account.
 */
const MAX_CONCURRENCY = 10;
/** Maximum time to load a function (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html). */
const INIT_MS = 10_000;
/** Lambda's limit for a synchronous invocation's event and for its result, in bytes. */
export const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;

/**
 * Runs a function on this machine as Lambda would: in execution environments that start when needed and handle one
 * invocation at a time. They are reused, and lost when the function times out or crashes. Unlike in Lambda, they are
 * not frozen between invocations, and the function's role does not limit them.
 */
export function createFunction(config: FunctionConfig, log: Log, maxConcurrency = MAX_CONCURRENCY): LocalFunction {
  const environments = new Set<Environment>();
  const idle: Environment[] = [];
  const waiting: (() => void)[] = [];
  let running = 0;
  let closed = false;

  /** Undefined if the function was closed in the meantime. */
  async function acquire(): Promise<Environment | undefined> {
    if (running >= maxConcurrency) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    if (closed) {
      leave();
      return undefined;
    }
    // Prefers the environment that was used last, and skips environments that have ended.
    for (let candidate = idle.pop(); candidate; candidate = idle.pop()) {
      if (candidate.alive) return candidate;
      environments.delete(candidate);
    }
    const environment = startEnvironment(config, log);
    environments.add(environment);
    return environment;
  }

  function release(environment: Environment): void {
    if (environment.alive) idle.push(environment);
    else environments.delete(environment);
    leave();
  }

  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }

  return {
    config,
    async invoke(event) {
      if (Buffer.byteLength(event) > MAX_PAYLOAD_BYTES)
        return failure('RequestEntityTooLargeException', `The event is larger than ${MAX_PAYLOAD_BYTES} bytes.`);
      const environment = await acquire();
      if (!environment) return failure('Sandbox.Closed', 'The local stack is shutting down.');
      try {
        const result = await environment.invoke(event);
        if (!result.ok) log(config.name, `Invoke Error ${result.payload}`);
        if (Buffer.byteLength(result.payload) > MAX_PAYLOAD_BYTES)
          return failure('Function.ResponseSizeTooLarge', `The result is larger than ${MAX_PAYLOAD_BYTES} bytes.`);
        return result;
      } finally {
        release(environment);
      }
    },
    async close() {
      closed = true;
      await Promise.all([...environments].map((environment) => environment.terminate()));
    },
  };
}

interface Environment {
  readonly alive: boolean;
  invoke(event: string): Promise<InvocationResult>;
  terminate(): Promise<void>;
}

const failure = (errorType: string, errorMessage: string): InvocationResult => ({
  ok: false,
  payload: JSON.stringify({ errorType, errorMessage }),
});

function startEnvironment(config: FunctionConfig, log: Log): Environment {
  const worker = new Worker(new URL('./lambda-worker.ts', import.meta.url), {
    env: environmentOf(config),
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: config.memoryMegabytes },
  });
  for (const stream of [worker.stdout, worker.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => log(config.name, text));

  let alive = true;
  let crash: Error | undefined;
  // The waiting invocation; there is at most one.
  let settle: ((outcome: Report | { readonly kind: 'exit'; readonly code: number }) => void) | undefined;
  worker.on('message', (message: Report) => settle?.(message));
  worker.on('error', (error: Error) => {
    crash = error;
    log(config.name, `Uncaught ${error.stack ?? String(error)}`);
  });
  worker.on('exit', (code) => {
    alive = false;
    settle?.({ kind: 'exit', code });
  });

  /** Waits for the worker's next message, or its end. After `ms`, the worker is ended and the outcome is `timeout`. */
  function outcome(ms: number) {
    return new Promise<Report | { kind: 'exit'; code: number } | { kind: 'timeout' }>((resolve) => {
      const timer = setTimeout(() => {
        alive = false;
        settle = undefined;
        resolve({ kind: 'timeout' });
        void worker.terminate();
      }, ms);
      settle = (result) => {
        clearTimeout(timer);
        settle = undefined;
        resolve(result);
      };
    });
  }

  const started = outcome(INIT_MS);
  let ready = false;

  return {
    get alive() {
      return alive;
    },
    async invoke(event) {
      const requestId = randomUUID();
      const exited = (code: number): InvocationResult =>
        crash
          ? failure(crash.name, `RequestId: ${requestId} Error: ${crash.message}`)
          : failure(
              'Runtime.ExitError',
              `RequestId: ${requestId} Error: Runtime exited with error: exit status ${code}`,
            );
      if (!ready) {
        const start = await started;
        if (start.kind === 'exit') return exited(start.code);
        if (start.kind === 'timeout')
          return failure(
            'Sandbox.Timedout',
            `RequestId: ${requestId} Error: Init timed out after ${INIT_MS / 1_000} s`,
          );
        if (start.kind === 'error') {
          alive = false;
          void worker.terminate();
          return { ok: false, payload: start.payload };
        }
        ready = true;
      }
      if (!alive) return exited(1);
      const milliseconds = config.timeoutSeconds * 1_000;
      const result = outcome(milliseconds);
      const invocation: Invocation = { requestId, event, deadline: Date.now() + milliseconds };
      worker.postMessage(invocation);
      const end = await result;
      switch (end.kind) {
        case 'result':
          return { ok: true, payload: end.payload };
        case 'error':
          return { ok: false, payload: end.payload };
        case 'exit':
          return exited(end.code);
        case 'timeout':
          return failure(
            'Sandbox.Timedout',
            `RequestId: ${requestId} Error: Task timed out after ${config.timeoutSeconds.toFixed(2)} seconds`,
          );
        case 'ready':
          return failure('Runtime.Unknown', 'The runtime started twice.');
      }
    },
    async terminate() {
      await worker.terminate();
    },
  };
}

/** Returns the function's variables and those that Lambda adds, but no variables of this process. */
const environmentOf = (config: FunctionConfig): Record<string, string> => ({
  TZ: ':UTC',
  LANG: 'en_US.UTF-8',
  PATH: '/usr/local/bin:/usr/bin:/bin',
  ...config.variables,
  _HANDLER: config.handler,
  LAMBDA_TASK_ROOT: config.directory,
  AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
  AWS_LAMBDA_FUNCTION_NAME: config.name,
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(config.memoryMegabytes),
  AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
  AWS_LAMBDA_LOG_FORMAT: config.logFormat,
  AWS_LAMBDA_LOG_GROUP_NAME: config.logGroup,
  AWS_LAMBDA_LOG_STREAM_NAME: 'local',
  ROOMS_LOCAL_FUNCTION_ARN: config.arn,
});
