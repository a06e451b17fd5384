import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { rounded } from '../common/numbers.ts';
import { environment } from '../common/world.ts';
import { message, start } from './processes.ts';

const WARM_UP = 1_000;
const COUNTED = 5_000;

/** CPU time and duration of one post, in milliseconds, with 100 simultaneous posts. */
export interface Posts {
  readonly cpu: number;
  readonly ms: number;
}

/** Posts from one process to a gateway behind TLS. */
export async function measurePosts(latency: number): Promise<Posts> {
  const gateway = start('tls-gateway.ts', latency);
  const folder = mkdtempSync(join(tmpdir(), 'rooms-bench-'));
  try {
    const { url, cert } = await message(gateway, v.object({ url: v.string(), cert: v.string() }));
    const authority = join(folder, 'cert.pem');
    writeFileSync(authority, cert);
    const poster = fork(fileURLToPath(new URL('poster.ts', import.meta.url)), [String(WARM_UP), String(COUNTED)], {
      env: { ...process.env, ...environment(url), CALLBACK_URL: `${url}/v1`, NODE_EXTRA_CA_CERTS: authority },
    });
    const posts = await message(poster, v.object({ cpu: v.number(), ms: v.number() }));
    poster.disconnect();
    return { cpu: rounded(posts.cpu, 3), ms: rounded(posts.ms, 3) };
  } finally {
    gateway.disconnect();
    rmSync(folder, { recursive: true });
  }
}
