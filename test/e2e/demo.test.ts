import { afterAll, beforeAll, expect, test } from 'vitest';
import { npm, npmStart, npmWith, processTree, type RunningStack, stillRunning } from './npm-start.ts';

let stack: RunningStack;
beforeAll(async () => {
  stack = await npmStart();
});
afterAll(() => stack?.close());

test('npm run demo completes on a running stack', async () => {
  const { code, stdout, stderr } = await npm('run', '-s', 'demo', '--', '--state-dir', stack.stateDirectory).ended;
  expect(stderr).toBe('');
  expect(stdout).not.toContain('✗');
  expect(stdout).toContain('All steps succeeded.');
  expect(code).toBe(0);
});

test('npm run demo has --help, and rejects unknown options', async () => {
  expect((await npm('run', '-s', 'demo', '--', '--help').ended).stdout).toContain('Usage: npm run demo');
  const { code, stderr } = await npm('run', '-s', 'demo', '--', '--fast').ended;
  expect(stderr).toContain("Unknown option '--fast'");
  expect(code).toBe(2);
});

test('npm run demo stops its own stack on Ctrl-C', async () => {
  const demo = npmWith({ detached: true }, 'run', '-s', 'demo', '--', '--state-dir', `${stack.stateDirectory}/none`);
  const running = () => stillRunning(processTree(demo.pid)).join('\n');
  await expect.poll(running, { timeout: 60_000 }).toContain('DynamoDBLocal.jar');
  const tree = processTree(demo.pid);
  // A terminal sends the signal to the whole process group.
  process.kill(-demo.pid, 'SIGINT');
  await demo.ended;
  await expect.poll(() => stillRunning(tree), { timeout: 20_000 }).toEqual([]);
});
