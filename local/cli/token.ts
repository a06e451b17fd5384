import * as v from 'valibot';
import { userId } from '../../core/contract/fields.ts';
import { parseCommandLine } from '../../tools/cli/command-line.ts';
import { messageOf } from '../../tools/cli/error-text.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';
import { requestToken } from '../oidc/oidc-issuer.ts';
import { chooseStack } from './endpoints.ts';
import { portOption } from './ports.ts';

const HELP = `Usage: npm run -s token -- <user_id> [options]

Prints an access token of the user from the issuer of the running local stack. The token expires after 1 hour.
(-s suppresses the output of npm.)

Options:
  --port PORT      port of the stack's HTTP API; required if several stacks are running
  --state-dir DIR  folder with the endpoints of the stack (default: .local)
  --help           print this help
`;

async function main(): Promise<void> {
  const { values, positionals } = parseCommandLine(
    {
      allowPositionals: true,
      options: { port: { type: 'string' }, 'state-dir': { type: 'string' }, help: { type: 'boolean' } },
    },
    '"npm run token -- --help"',
  );
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const [user, ...others] = positionals;
  if (user === undefined || others.length > 0)
    throw new UsageError('Pass one user id, such as "npm run -s token -- alice".');
  const parsed = v.safeParse(userId, user);
  if (!parsed.success)
    throw new UsageError(`${JSON.stringify(user)} is not a user id: it ${parsed.issues[0].message}.`);

  const endpoints = await chooseStack(values['state-dir'], portOption(values.port));
  if (!endpoints) throw new Error('No local stack is running; start one with "npm start" in another terminal.');
  if (!endpoints.issuerIsLocal)
    throw new Error(`The stack at ${endpoints.http} accepts the tokens of ${endpoints.issuer}. Request one there.`);
  const token = await requestToken(endpoints.issuer, parsed.output).catch((cause: unknown) => {
    throw new Error(`The issuer of the local stack, ${endpoints.issuer}, returned no token. Restart the stack.`, {
      cause,
    });
  });
  process.stdout.write(`${token}\n`);
}

try {
  await main();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
