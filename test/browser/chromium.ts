import { access, constants } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** What to do where there is none. */
export const NO_CHROMIUM =
  'There is no Chromium on this machine: "apt-get install chromium", or say where it is with CHROMIUM=<path>.';

/** Says why something is skipped. Not by `console`, of which is shown only what failing tests say. */
export const sayNoChromium = (what: string): void => void process.stderr.write(`${what} ${NO_CHROMIUM}\n`);

/** The Chromium of this machine: where the variable CHROMIUM says, or where Linux has it. Undefined where there is none. */
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

/** Starts a Chromium without a window, with an empty profile of its own, that talks to nobody but the pages it is given. */
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
