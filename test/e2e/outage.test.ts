import { afterAll, beforeAll, test } from 'vitest';
import { requestToken } from '../../local/iams.ts';
import { breakableWay, type Way } from '../client/faults.ts';
import { everyMessageOnce } from '../client/outages.ts';
import { npmStart, type RunningStack } from './npm-start.ts';

let stack: RunningStack;
let way: Way;
beforeAll(async () => {
  stack = await npmStart();
  way = await breakableWay(stack.ws);
});
afterAll(async () => {
  await way?.close();
  await stack?.close();
});

const seed = Number(process.env.ROOMS_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`every message once and in order through the whole service, while the way breaks (seed ${seed})`, async () => {
  const { http: url, ws: wsUrl, issuer } = stack;
  const token = (user: string) => requestToken(issuer, user);
  await everyMessageOnce({ url, wsUrl, ordered: false, token }, way, seed);
});
