import { afterAll, vi } from 'vitest';
import { SUB_PROTOCOL } from '../../core/contract/sub-protocols.ts';

/* Repeats the tests of delivery, sending and outages with a service that supports only `rooms.v1`. */

vi.stubEnv('ROOMS_TEST_PROTOCOL', SUB_PROTOCOL);
afterAll(() => {
  vi.unstubAllEnvs();
});

await import('./realtime.test.ts');
await import('./changes.test.ts');
await import('./reading.test.ts');
await import('./sending.test.ts');
await import('./reconnect.test.ts');
await import('./live-state.test.ts');
await import('./outage.test.ts');
