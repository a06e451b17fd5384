import { afterAll, vi } from 'vitest';
import { SUB_PROTOCOL } from '../../core/contract/sub-protocols.ts';

/* The tests of delivery, sending and outages again, against a service that speaks `rooms.v1` alone. */

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
