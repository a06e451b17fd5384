import { parseArgs } from 'node:util';
import * as v from 'valibot';
import { chooseStack, type Endpoints } from '../local/cli/endpoints.ts';
import { requestToken } from '../local/oidc/oidc-issuer.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { numberOption, runCommand } from './operations/command.ts';
import { type Deployed, deployedAs, deployedHere } from './operations/verify/deployed.ts';
import { allChecks, type Result, runChecks } from './operations/verify/run.ts';
import { Session, type Target, type User, userOf } from './operations/verify/session.ts';

const HELP = `Usage: npm run verify -- --env <name> [options]
       npm run verify -- --url <URL> --websocket-url <URL> [options]

Checks and measures a deployment through its public endpoints. Covers behavior of API Gateway, IAM, S3, the Scheduler, streams and
Lambda that emulators lack. Prints one line for each check.

Users, from environment variables:
  ROOMS_TOKEN             access token of a test user, valid for at least 5 more minutes
  ROOMS_TOKEN_2           access token of another user; without it, checks that need two users are not shown
or, to request tokens when needed:
  ROOMS_CLIENT_ID, ROOMS_CLIENT_SECRET      a client with the grant "client credentials"
  ROOMS_CLIENT_ID_2, ROOMS_CLIENT_SECRET_2  another client

  --env            the environment, such as prod; "local" is the running local stack, which needs no users. Other environments
                   need AWS credentials (AWS_PROFILE, AWS_REGION) with permission to describe the stacks and read
                   the template of the HTTP stack; for cold-start, also list its resources and invoke its functions
  --url            URL of the HTTP API (default: from the stack)
  --websocket-url  URL of the WebSocket API (default: from the stack)
  --issuer         identity provider for client credentials
  --origin         allowed origin of a page (default: the first that the stack allows)
  --only           names of checks, comma-separated, with an optional * at the end, as in latency-*
  --requests       requests to each route (default: 30)
  --max-p99        maximum p99 of a route, in milliseconds (default: 5000)
  --port           port of the local stack, if several are running
  --state-dir      state directory of the local stack, if it was started with one
  --emulated       the target is ministack; checks that it cannot pass must fail, and are reported as not shown
  --json           print one JSON object instead of lines
  --list           print what each check proves, without running it
  --help           print this

Creates rooms named "verify <time>" (about 40 by default) with invented participants, about 30 messages and a few files of 6 bytes,
and ends the rooms. Does not change other rooms and files. cold-start invokes each function of the HTTP API with a request about a
room that does not exist. cors-429 sends twice the burst limit of POST /room in parallel, if that is at most 200 requests. For about
2 seconds, no rooms can be created then.
Exits with 1 if a check failed, and with 2 for a usage error.`;

const optional = (name: string): string | undefined => process.env[name] || undefined;

/** Requests tokens with client credentials. */
async function tokenSource(issuer: string | undefined, id: string, secret: string): Promise<() => Promise<string>> {
  if (issuer === undefined) throw new UsageError('Client credentials need an identity provider: --issuer <URL>.');
  const getJson = async (url: string, init?: RequestInit): Promise<unknown> => {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new UsageError(`${url} responded with ${response.status}.`);
    return response.json();
  };
  const discovery = await getJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  const { token_endpoint } = v.parse(v.object({ token_endpoint: v.string() }), discovery);
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret });
  return async () => {
    const answer = await getJson(token_endpoint, { method: 'POST', body });
    return v.parse(v.object({ access_token: v.string() }), answer).access_token;
  };
}

async function userFrom(suffix: '' | '_2', issuer: string | undefined): Promise<User | undefined> {
  const token = optional(`ROOMS_TOKEN${suffix}`);
  if (token !== undefined)
    return userOf(async () => token).catch(() => {
      throw new UsageError(`ROOMS_TOKEN${suffix} is not an access token with a "sub".`);
    });
  const [id, secret] = [optional(`ROOMS_CLIENT_ID${suffix}`), optional(`ROOMS_CLIENT_SECRET${suffix}`)];
  if (id === undefined || secret === undefined) return undefined;
  return userOf(await tokenSource(issuer, id, secret));
}

async function users(issuer: string | undefined): Promise<readonly [User, User | undefined]> {
  const user = await userFrom('', issuer);
  if (!user)
    throw new UsageError(
      'Specify a user: set ROOMS_TOKEN, or ROOMS_CLIENT_ID and ROOMS_CLIENT_SECRET (with --issuer).',
    );
  const other = await userFrom('_2', issuer);
  if (other?.id === user.id) throw new UsageError('Both tokens are for the same user.');
  return [user, other];
}

async function localStack(port: number | undefined, stateDirectory: string | undefined): Promise<Endpoints> {
  const stack = await chooseStack(stateDirectory, port);
  if (!stack) throw new UsageError('No local stack is running. Start one with "npm start".');
  return stack;
}

async function localUsers({ issuer, issuerIsLocal }: Endpoints): Promise<readonly [User, User | undefined]> {
  if (!issuerIsLocal) return users(issuer);
  return [await userOf(() => requestToken(issuer, 'verify-1')), await userOf(() => requestToken(issuer, 'verify-2'))];
}

function urlOption(name: string, text: string | undefined, protocols: readonly string[]): string | undefined {
  if (text === undefined) return undefined;
  if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol))
    throw new UsageError(`--${name} must be a URL that begins with ${protocols.join(' or ')}//.`);
  return text;
}

const withoutSlash = (url: string): string => url.replace(/\/$/, '');

/** Returns the checks that `--only` names. */
function chosen(only: string | undefined): typeof allChecks {
  if (only === undefined) return allChecks;
  const names = only.split(',').map((name) => name.trim());
  const fits = (pattern: string, name: string): boolean =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  for (const name of names)
    if (!allChecks.some((check) => fits(name, check.name)))
      throw new UsageError(`There is no check ${JSON.stringify(name)}. List the checks with --list.`);
  return allChecks.filter((check) => names.some((name) => fits(name, check.name)));
}

const MARKS = { passed: 'ok       ', failed: 'FAILED   ', not_shown: 'not shown' } as const;
const WIDTH = Math.max(...allChecks.map(({ name }) => name.length));
const line = ({ name, outcome, detail }: Result): string =>
  `${MARKS[outcome]}  ${name.padEnd(WIDTH)}  ${outcome === 'not_shown' ? `not shown here: ${detail}` : detail}`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      env: { type: 'string' },
      url: { type: 'string' },
      'websocket-url': { type: 'string' },
      issuer: { type: 'string' },
      origin: { type: 'string' },
      only: { type: 'string' },
      requests: { type: 'string', default: '30' },
      'max-p99': { type: 'string', default: '5000' },
      port: { type: 'string' },
      'state-dir': { type: 'string' },
      emulated: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { env, json, emulated, origin } = values;
  const checks = chosen(values.only);
  if (values.list) {
    for (const { name, proves, how, lacks = {} } of checks) {
      const reasons = Object.values(lacks).map((reason) => `\n  Not shown without AWS: ${reason}.`);
      console.log(`${name}\n  ${proves}\n  How: ${how}.${reasons.join('')}`);
    }
    return 0;
  }
  const url = urlOption('url', values.url, ['https:', 'http:']);
  const webSocketUrl = urlOption('websocket-url', values['websocket-url'], ['wss:', 'ws:']);
  const requests = numberOption('requests', values.requests);
  const maxP99 = numberOption('max-p99', values['max-p99']);
  if (env === undefined && (url === undefined || webSocketUrl === undefined))
    throw new UsageError('Specify what to verify: --env <name>, or both --url and --websocket-url.');
  const port = values.port === undefined ? undefined : numberOption('port', values.port);
  const here = env === 'local' ? await localStack(port, values['state-dir']) : undefined;
  const [user, other] = here ? await localUsers(here) : await users(values.issuer);
  const deployed: Deployed | undefined = here
    ? deployedHere(here)
    : env === undefined
      ? undefined
      : await deployedAs(env);
  const target: Target = {
    http: withoutSlash(url ?? deployed?.http ?? ''),
    webSocket: withoutSlash(webSocketUrl ?? deployed?.webSocket ?? ''),
    user,
    other,
    deployed,
    origin,
    requests,
    maxP99,
  };

  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      console.error('Interrupted. Ending the rooms.');
      interrupted.abort();
    });
  const session = new Session(target);
  const startedAt = new Date().toISOString();
  let results: Result[] = [];
  let left = 0;
  try {
    results = await runChecks(checks, session, {
      imitation: here ? 'local' : emulated ? 'ministack' : undefined,
      signal: interrupted.signal,
      onResult: (result) => {
        if (!json) console.log(line(result));
      },
    });
  } finally {
    left = await session.cleanUp();
  }
  const count = (outcome: Result['outcome']): number => results.filter((each) => each.outcome === outcome).length;
  const ended = session.roomsCreated - left;
  const ok = count('failed') === 0 && left === 0 && !interrupted.signal.aborted;
  if (json) {
    const about = { http: target.http, web_socket: target.webSocket, environment: env ?? null, started_at: startedAt };
    console.log(
      JSON.stringify({ ...about, ok, results, rooms: { created: session.roomsCreated, ended } }, undefined, 2),
    );
  } else {
    console.log(
      `${count('passed')} passed, ${count('failed')} failed, ${count('not_shown')} not shown here; ` +
        `${session.roomsCreated} rooms created, ${ended} ended.`,
    );
  }
  if (left > 0) console.error(`Rooms that could not be ended: ${[...session.openRooms].join(', ')}`);
  return ok ? 0 : 1;
}

await runCommand('verify', main);
