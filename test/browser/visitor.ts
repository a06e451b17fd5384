import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';

/** A user of the web client in a separate browser context, which shares no cookies or storage. */
export interface Visitor {
  readonly name: string;
  readonly page: Page;
  readonly context: BrowserContext;
  /** Console errors and warnings, exceptions, and violations of the Content Security Policy. */
  readonly problems: string[];
}

export async function visit(
  browser: Browser,
  url: string,
  name: string,
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 760 }, locale: 'en-GB', ...options });
  // A generous limit, because the machine can be busy.
  context.setDefaultTimeout(90_000);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`exception: ${error.stack ?? error.message}`));
  await page.exposeFunction('reportViolation', (text: string) => problems.push(`security policy: ${text}`));
  await page.addInitScript(`document.addEventListener('securitypolicyviolation', (violation) =>
    reportViolation(violation.violatedDirective + ' ' + violation.blockedURI));`);
  await page.goto(url);
  return { name, page, context, problems };
}

/** Like `visit`, and also signs in. */
export async function signIn(...visiting: Parameters<typeof visit>): Promise<Visitor> {
  const visitor = await visit(...visiting);
  const { page, name } = visitor;
  await page.getByLabel('Who are you?').fill(name);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('heading', { name: 'Your rooms' }).waitFor();
  return visitor;
}

export const messageField = ({ page }: Visitor): Locator => page.getByLabel('Message', { exact: true });

/** Messages that contain this text or file name. */
export const messages = ({ page }: Visitor, text: string | RegExp): Locator =>
  page.getByRole('article').filter({ hasText: text });

/** The list item of a participant. */
export const person = ({ page }: Visitor, name: string): Locator =>
  page.getByRole('complementary', { name: 'People in this room' }).getByRole('listitem').filter({ hasText: name });

/** Opens a room from the list, and waits until it is joined. */
export async function enter(visitor: Visitor, room: string): Promise<void> {
  await visitor.page.getByRole('link', { name: room }).click();
  await joined(visitor);
}

/** Waits until the open room is joined. Before that, Enter does not send. */
const joined = (visitor: Visitor): Promise<void> =>
  messageField(visitor).and(visitor.page.getByPlaceholder('Write a message')).waitFor();

export async function say(visitor: Visitor, text: string): Promise<void> {
  await joined(visitor);
  await messageField(visitor).fill(text);
  await messageField(visitor).press('Enter');
}

/** Opens a menu by the label of its button, and chooses an item. */
export async function choose({ page }: Visitor, menu: string, item: string): Promise<void> {
  await page.getByLabel(menu, { exact: true }).click();
  await page.getByRole('button', { name: item }).click();
}
