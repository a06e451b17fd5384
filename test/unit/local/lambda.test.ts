import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFunction, type FunctionConfig, type LocalFunction } from '../../../local/lambda/lambda.ts';

const BUNDLE = `
let invocations = 0;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const handler = async (event, context) => {
  invocations += 1;
  switch (event.do) {
    case 'nothing': return undefined;
    case 'throw': throw new RangeError('on purpose');
    case 'exit': process.exit(3);
    case 'crash': setTimeout(() => { throw new Error('uncaught'); }); return sleep(60_000);
    case 'hang': return sleep(60_000);
    case 'sleep': await sleep(event.ms); return { invocations };
    case 'log': console.info({ a: 1 }); console.warn('b', 2); return null;
    case 'large': return 'x'.repeat(7 * 1024 * 1024);
    case 'env': return { ...process.env };
    case 'context': return { ...context, remaining: context.getRemainingTimeInMillis() };
    default: return { invocations, event };
  }
};
`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rooms-lambda-'));
  await writeFile(join(directory, 'index.mjs'), BUNDLE);
  await writeFile(join(directory, 'broken.mjs'), "throw new TypeError('at load');");
});
afterAll(() => rm(directory, { recursive: true }));

const running: LocalFunction[] = [];
const logged: string[] = [];
afterEach(async () => {
  for (const fn of running.splice(0)) await fn.close();
  logged.length = 0;
});

function create(config: Partial<FunctionConfig> = {}, maxConcurrency?: number): LocalFunction {
  const fn = createFunction(
    {
      name: 'test',
      arn: 'arn:test',
      directory,
      handler: 'index.handler',
      variables: { TABLE_NAME: 'table', AWS_REGION: 'us-east-1' },
      timeoutSeconds: 30,
      memoryMegabytes: 128,
      logFormat: 'JSON',
      logGroup: '/logs/test',
      ...config,
    },
    (_source, text) => logged.push(...text.trim().split('\n')),
    maxConcurrency,
  );
  running.push(fn);
  return fn;
}

const invoke = async (fn: LocalFunction, event: object) => {
  const { ok, payload } = await fn.invoke(JSON.stringify(event));
  return { ok, result: JSON.parse(payload) };
};

describe('a function', () => {
  test('receives its event and returns its result, in an environment that is reused', async () => {
    const fn = create();
    expect(await invoke(fn, { a: [1, 'ä'] })).toEqual({ ok: true, result: { invocations: 1, event: { a: [1, 'ä'] } } });
    expect(await invoke(fn, {})).toMatchObject({ ok: true, result: { invocations: 2 } });
    expect(await invoke(fn, { do: 'nothing' })).toEqual({ ok: true, result: null });
  });

  test("has its own environment variables and Lambda's, and none of this process", async () => {
    process.env.ROOMS_TEST_SECRET = 'x';
    const { result } = await invoke(create(), { do: 'env' });
    delete process.env.ROOMS_TEST_SECRET;
    expect(result).toMatchObject({ TABLE_NAME: 'table', AWS_LAMBDA_FUNCTION_NAME: 'test', AWS_REGION: 'us-east-1' });
    expect(result).not.toHaveProperty('ROOMS_TEST_SECRET');
    expect(result).not.toHaveProperty('HOME');
  });

  test('receives a context', async () => {
    const { result } = await invoke(create(), { do: 'context' });
    expect(result).toMatchObject({
      awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      functionName: 'test',
      functionVersion: '$LATEST',
      memoryLimitInMB: '128',
      invokedFunctionArn: 'arn:test',
      logGroupName: '/logs/test',
    });
    expect(result.remaining).toBeGreaterThan(0);
    expect(result.remaining).toBeLessThanOrEqual(30_000);
  });

  test("writes its log in Lambda's JSON format", async () => {
    const fn = create();
    await invoke(fn, { do: 'log' });
    await expect.poll(() => logged.length).toBe(2);
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'INFO', message: { a: 1 }, requestId: expect.any(String), timestamp: expect.any(String) },
      { level: 'WARN', message: 'b 2' },
    ]);
  });

  test('fails with the error of its handler, and keeps its environment', async () => {
    const fn = create();
    expect(await invoke(fn, { do: 'throw' })).toMatchObject({
      ok: false,
      result: { errorType: 'RangeError', errorMessage: 'on purpose', trace: expect.any(Array) },
    });
    expect(await invoke(fn, {})).toMatchObject({ ok: true, result: { invocations: 2 } });
  });

  test.each([
    ['exit', 'Runtime.ExitError', 'exit status 3'],
    ['crash', 'Error', 'uncaught'],
  ])('loses its environment to %s, and gets a new one', async (what, errorType, message) => {
    const fn = create();
    await invoke(fn, {});
    expect(await invoke(fn, { do: what })).toMatchObject({
      ok: false,
      result: { errorType, errorMessage: expect.stringContaining(message) },
    });
    expect(await invoke(fn, {})).toMatchObject({ ok: true, result: { invocations: 1 } });
  });

  test('is stopped when it times out', async () => {
    const fn = create({ timeoutSeconds: 0.2 });
    expect(await invoke(fn, { do: 'hang' })).toMatchObject({
      ok: false,
      result: {
        errorType: 'Sandbox.Timedout',
        errorMessage: expect.stringMatching(/Task timed out after 0\.20 seconds$/),
      },
    });
    expect(await invoke(fn, {})).toMatchObject({ ok: true, result: { invocations: 1 } });
  });

  test('fails if it cannot be loaded, at each attempt', async () => {
    const broken = create({ handler: 'broken.handler' });
    for (let attempt = 0; attempt < 2; attempt += 1)
      expect(await invoke(broken, {})).toMatchObject({
        ok: false,
        result: { errorType: 'TypeError', errorMessage: 'at load' },
      });
    expect(await invoke(create({ handler: 'index.other' }), {})).toMatchObject({
      ok: false,
      result: { errorMessage: 'index.other is undefined or not exported' },
    });
    expect(await invoke(create({ handler: 'missing.handler' }), {})).toMatchObject({ ok: false });
  });

  test('accepts neither events nor results above 6 MB', async () => {
    const fn = create();
    expect(await invoke(fn, { do: 'large' })).toMatchObject({
      ok: false,
      result: { errorType: 'Function.ResponseSizeTooLarge' },
    });
    expect(await invoke(fn, { a: 'x'.repeat(7 * 1024 * 1024) })).toMatchObject({
      ok: false,
      result: { errorType: 'RequestEntityTooLargeException' },
    });
  });

  test('runs as many invocations at once as its limit allows, each in its own environment, and then the rest', async () => {
    const fn = create({}, 2);
    const results = await Promise.all(Array.from({ length: 6 }, () => invoke(fn, { do: 'sleep', ms: 50 })));
    const counts = results.map(({ result }) => result.invocations).sort();
    expect(results.every(({ ok }) => ok)).toBe(true);
    // Six invocations run in two environments. Each environment counts its own, so exactly two invocations return 1.
    expect(counts.filter((count) => count === 1)).toHaveLength(2);
    expect(counts).toHaveLength(6);
  });

  test('stops at once when it is closed', async () => {
    const fn = create();
    const hanging = invoke(fn, { do: 'hang' });
    await invoke(create(), {});
    await fn.close();
    expect(await hanging).toMatchObject({ ok: false });
    expect(await invoke(fn, {})).toMatchObject({ ok: false, result: { errorType: 'Sandbox.Closed' } });
  });
});
