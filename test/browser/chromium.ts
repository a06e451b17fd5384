import { access, constants } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

/** Where Linux has Chromium. First the one without a user interface: it needs half the CPU. */
const PLACES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'].map(
  (name) => `/usr/bin/${name}`,
);

/** Error text if Chromium is not found. */
export const NO_CHROMIUM =
  'Chromium was not found. Run "apt-get install chromium-headless-shell" or "apt-get install chromium", or set CHROMIUM=<path>.';

/** Reports what is not tested. Writes to stderr directly, because Vitest shows `console` output only for failing tests. */
export const sayNoChromium = (what: string): void => void process.stderr.write(`${what} ${NO_CHROMIUM}\n`);

/** Returns the path of Chromium: the variable CHROMIUM, or a usual path on Linux. Returns undefined if there is none. */
export async function findChromium(): Promise<string | undefined> {
  for (const path of process.env.CHROMIUM ? [process.env.CHROMIUM] : PLACES)
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  return undefined;
}

/** Starts a headless Chromium with an empty profile. It makes no background requests. */
export const startChromium = (executablePath: string): Promise<Browser> =>
  chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
