import { setTimeout as sleep } from 'node:timers/promises';
import { chooseStack } from '../local/cli/endpoints.ts';
import { portOption } from '../local/cli/ports.ts';
import { startStack } from '../local/stack.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { messageOf } from '../tools/cli/error-text.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { say, story } from './narrator.ts';
import { scenario } from './scenario.ts';

const HELP = `Usage: npm run demo [-- options]

Demonstrates the service with two users, from the creation of a room to its end, including an outage. Uses the running
local stack, or starts one. Prints each step, and exits with 0 only if all steps succeed.

Options:
  --port PORT      port of the stack's HTTP API; required if several stacks are running
  --state-dir DIR  folder with the endpoints of the stack (default: .local)
  --slow           pause between the steps
  --help           print this help
`;

async function main(): Promise<void> {
  const { values } = parseCommandLine(
    {
      options: {
        port: { type: 'string' },
        'state-dir': { type: 'string' },
        slow: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    },
    '"npm run demo -- --help"',
  );
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const running = await chooseStack(values['state-dir'], portOption(values.port));
  if (running && !running.issuerIsLocal)
    throw new Error(
      `The demo needs tokens of two users, but the stack at ${running.http} accepts the tokens of ${running.issuer}. Start a stack without --issuer.`,
    );
  if (running) {
    say(`On the local stack at ${running.http}.`);
    await scenario(running, story({ pauseMs: values.slow ? 1_200 : 0 }));
    return;
  }
  say('No local stack is running. Starting one for this demo.');
  const stack = await startStack({ port: 0, log: () => {}, progress: (step) => say(`  ${step}`) });
  try {
    await scenario(stack, story({ pauseMs: values.slow ? 1_200 : 0 }));
  } finally {
    await stack.close();
    // Waits until standard output is flushed.
    await sleep(0);
  }
}

try {
  await main();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
