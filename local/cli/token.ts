import * as v from 'valibot';
import { userId } from '../../core/contract/fields.ts';
import { parseCommandLine } from '../../tools/cli/command-line.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';
import { requestToken } from '../oidc/oidc-issuer.ts';
import { chooseStack } from './endpoints.ts';
import { portOption } from './ports.ts';

const HELP = `Usage: npm run -s token -- <user_id> [options]

Prints an access token of that user, good for an hour, as the IAMS of the running local stack issues it.
(-s keeps npm's own output away.)

Options:
  --port PORT      port of the stack's HTTP API, where several stacks are running
  --state-dir DIR  where the stack keeps its endpoints (default: .local)
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
    throw new UsageError('Give one user id, such as "npm run -s token -- alice".');
  const parsed = v.safeParse(userId, user);
  if (!parsed.success) throw new UsageError(`${JSON.stringify(user)} is no user id: it ${parsed.issues[0].message}.`);

  const endpoints = await chooseStack(values['state-dir'], portOption(values.port));
  if (!endpoints) throw new Error('No local stack is running; start one with "npm start" in another terminal.');
  if (!endpoints.issuerIsLocal)
    throw new Error(`The stack at ${endpoints.http} accepts the tokens of ${endpoints.issuer}: get one there.`);
  const token = await requestToken(endpoints.issuer, parsed.output).catch((cause: unknown) => {
    throw new Error(`The local stack's IAMS, ${endpoints.issuer}, gave no token; start the stack again.`, { cause });
  });
  process.stdout.write(`${token}\n`);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
