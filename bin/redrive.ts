import { parseArgs } from 'node:util';
import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SQSClient } from '@aws-sdk/client-sqs';
import { pascal } from '../core/contract/names.ts';
import { type WithDeadLetters, withDeadLetters } from '../lib/event-functions.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { runCommand } from './operations/command.ts';
import {
  type Clients,
  type DeadLetter,
  deadLettersOf,
  describe,
  discard,
  type Outcome,
  redrive,
  release,
  type Target,
} from './operations/dead-letters.ts';
import { outputsOf } from './operations/stack.ts';

const HELP = `Usage: npm run redrive -- --env <name> --function <name> [--go | --discard]

Lists the dead letters of a function, which are events that it could not process, and invokes the function with them again.

  --env       the environment, such as prod
  --function  one of ${withDeadLetters.join(', ')}
  --go        invoke the function with each letter, and delete the letters that it has processed
  --discard   delete all letters without invoking anything
  --help      print this

Without --go and --discard, only lists the letters. Exits with 1 if the function fails again for a letter.`;

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  taken: 'done',
  failed: 'failed again and stays in the queue; see the log of the function',
  gone: 'the stream has deleted its records; it stays in the queue until you use --discard',
};

async function targetOf(env: string, name: WithDeadLetters): Promise<Target> {
  const output = await outputsOf(`rooms-${env}-realtime`);
  return {
    name,
    functionName: output(`${pascal(name)}FunctionName`),
    queueUrl: output(`${pascal(name)}DeadLettersUrl`),
  };
}

const isFunction = (name: string | undefined): name is WithDeadLetters => withDeadLetters.some((each) => each === name);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      env: { type: 'string' },
      function: { type: 'string' },
      go: { type: 'boolean', default: false },
      discard: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { env, function: name, go } = values;
  if (env === undefined) throw new UsageError('Specify the environment: --env <name>.');
  if (!isFunction(name)) throw new UsageError(`Specify the function: --function ${withDeadLetters.join(' | ')}.`);
  if (go && values.discard) throw new UsageError('Choose one of --go and --discard.');

  const clients: Clients = { sqs: new SQSClient(), lambda: new LambdaClient(), streams: new DynamoDBStreamsClient() };
  const target = await targetOf(env, name);
  let count = 0;
  const kept: DeadLetter[] = [];
  for await (const letter of deadLettersOf(clients, target)) {
    count++;
    const line = describe(target, letter);
    if (values.discard) {
      await discard(clients, target, letter);
      console.log(`${line}: deleted`);
    } else if (go) {
      const outcome = await redrive(clients, target, letter);
      if (outcome !== 'taken') kept.push(letter);
      console.log(`${line}: ${OUTCOMES[outcome]}`);
    } else {
      kept.push(letter);
      console.log(line);
    }
  }
  for (const letter of kept) await release(clients, target, letter);
  if (count === 0) console.log('There are no dead letters.');
  else console.log(`Dead letters: ${count}${go ? `, left: ${kept.length}` : ''}.`);
  return go && kept.length > 0 ? 1 : 0;
}

await runCommand('redrive', main);
