import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Config } from '../../../web/src/session/config.ts';
import { watchForRecovery } from '../../../web/src/session/recovery.ts';

const config: Config = { http: 'http://127.0.0.1:1', ws: 'ws://127.0.0.1:2', issuer: 'http://127.0.0.1:3' };

describe('waiting for the service', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watched() {
    const calls: string[] = [];
    let answer: Config | undefined;
    const recovery = watchForRecovery({
      config,
      load: () => (answer ? Promise.resolve(answer) : Promise.reject(new Error('down'))),
      onBack: ({ isFirst }) => calls.push(isFirst ? 'back for the first time' : 'back'),
      onMoved: () => calls.push('moved'),
    });
    const become = (next: Config | undefined): void => {
      answer = next;
    };
    return { recovery, calls, become };
  }

  test('detects within a second that the service is back', async () => {
    const { recovery, calls, become } = watched();
    recovery.onConnection(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toEqual([]);
    become(config);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(calls).toEqual(['back for the first time']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(calls).toEqual(['back for the first time', 'back']);
    recovery.onConnection(false);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls.length).toBe(2);
  });

  test('reports that the service has another address', async () => {
    const { recovery, calls, become } = watched();
    recovery.onConnection(true);
    become({ ...config, ws: 'ws://127.0.0.1:9' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toEqual(['moved']);
  });

  test('checks at once when the user requests it', async () => {
    const { recovery, calls, become } = watched();
    recovery.onConnection(true);
    become(config);
    recovery.checkNow();
    await vi.advanceTimersByTimeAsync(1);
    expect(calls).toEqual(['back for the first time']);
  });

  test('ends when it is closed', async () => {
    const { recovery, calls, become } = watched();
    recovery.onConnection(true);
    become(config);
    recovery.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toEqual([]);
  });
});
