import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { npm, npmStart, ROOT, type RunningStack } from '../e2e/npm-start.ts';
import { goProgram, pythonProgram } from './clients.ts';

const run = promisify(execFile);

const directory = await mkdtemp(join(tmpdir(), 'rooms-examples-'));
const inFolder = async (name: string): Promise<string> => {
  const folder = join(directory, name);
  await mkdir(folder);
  return folder;
};

const programs = [
  ['python', await pythonProgram(await inFolder('python'))],
  ['go', await goProgram(await inFolder('go'))],
] as const;
for (const [name, program] of programs)
  if ('outOfReach' in program) process.stderr.write(`The example in ${name} is skipped. ${program.outOfReach}\n`);

describe('the examples with generated clients', () => {
  let stack: RunningStack | undefined;
  beforeAll(async () => {
    if (programs.some(([, program]) => 'command' in program)) stack = await npmStart();
  });
  afterAll(async () => {
    await stack?.close();
    await rm(directory, { recursive: true, force: true });
  });

  test.for(programs)('examples/%s prints what its README shows', async ([name, program], { skip }) => {
    if ('outOfReach' in program || !stack) return skip();
    const token = await npm('run', '-s', 'token', '--', `user-of-${name}`, '--state-dir', stack.stateDirectory).ended;
    const { stdout } = await run(program.command, program.args, {
      cwd: program.cwd,
      env: { ...process.env, ...program.env, ROOMS_URL: stack.http, ROOMS_TOKEN: token.stdout.trim() },
    });
    const readme = await readFile(join(ROOT, 'examples', name, 'README.md'), 'utf8');
    expect(readme).toContain(`\`\`\`\n${stdout}\`\`\`\n`);
    expect(stdout).toContain('refused: room_ended');
  });
});
