import axe from 'axe-core';
import { describe, expect, test } from 'vitest';
import { findChromium, NO_CHROMIUM, sayNoChromium } from './chromium.ts';
import { picture } from './picture.ts';
import { evaluate, shown, useStage } from './stage.ts';
import { choose, enter, messageField, messages, type Visitor } from './visitor.ts';

const chromium = await findChromium();
if (!chromium) sayNoChromium('The accessibility of the web client is not tested.');

/** Checks WCAG 2.2 A and AA, best practices, and the rule for WCAG 2.5.3, which axe-core classifies as experimental. */
const OPTIONS = {
  runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
  rules: { 'label-content-name-mismatch': { enabled: true } },
  resultTypes: ['violations'],
};

/** Runs axe-core on the current page. Returns the rule and the element of each violation. */
async function findings(visitor: Visitor): Promise<unknown> {
  await evaluate(visitor, `globalThis.axe === undefined && void (() => { ${axe.source} })()`);
  return evaluate(
    visitor,
    `axe.run(document, ${JSON.stringify(OPTIONS)}).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html + ' ' + failureSummary)))`,
  );
}

describe.skipIf(!chromium)(chromium ? 'accessibility' : `accessibility (skipped: ${NO_CHROMIUM})`, () => {
  const stage = useStage(chromium);

  test.each([
    ['light', 1_200],
    ['dark', 1_200],
    ['light', 360],
    ['dark', 360],
  ] as const)('no view violates a rule of axe-core: %s, %i pixels wide', async (colorScheme, width) => {
    const options = { colorScheme, viewport: { width, height: 740 } };
    const clean = async (visitor: Visitor, view: string): Promise<void> =>
      expect(await findings(visitor), view).toEqual([]);
    const room = await stage.newRoom({ description: 'See https://example.com/' });
    const ended = await stage.newRoom();
    const booked = await stage.newRoom({ start_time: new Date(Date.now() + 3_600_000).toISOString() });
    const bob = await stage.joinAs('bob', room.room_id);
    await bob.send({ text: 'See https://example.com/ and https://bücher.example/' });
    await bob.send({ attachment: new File([new Uint8Array(picture(300, 200))], 'chart.png', { type: 'image/png' }) });
    await bob.send({ attachment: new File(['notes'], 'notes.txt', { type: 'text/plain' }) });
    await stage.clientOf('alice').endRoom(ended.room_id, { reason: 'Shift is over' });

    const stranger = await stage.arrive('stranger', options);
    await shown(stranger.page.getByLabel('Who are you?'));
    await clean(stranger, 'signing in');

    const alice = await stage.come('alice', options);
    await shown(alice.page.getByRole('link', { name: room.name }));
    await clean(alice, 'the list');
    await alice.page.getByLabel('Search rooms').fill('nothing is called so');
    await shown(alice.page.getByText('No room matches.'));
    await clean(alice, 'a search');
    await alice.page.getByLabel('Search rooms').fill('');
    await alice.page.getByRole('button', { name: 'New room' }).click();
    await clean(alice, 'a new room');
    await alice.page.keyboard.press('Escape');

    await enter(alice, room.name);
    await shown(messages(alice, 'notes.txt'));
    await stage.clientOf('alice').grantAdmin(room.room_id, 'bob');
    await shown(alice.page.locator('.notice'));
    await messageField(alice).fill('A draft');
    await alice.page.locator('input[type=file]').setInputFiles([
      { name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') },
      { name: 'n'.repeat(256), mimeType: 'text/plain', buffer: Buffer.of() },
    ]);
    await clean(alice, 'a room');
    const people = alice.page.getByRole('button', { name: /show people$/ });
    if (await people.isVisible()) {
      await people.click();
      await clean(alice, 'the people');
      await alice.page.getByLabel('Actions for bob').click();
      await clean(alice, 'the menu of a participant');
      await alice.page.keyboard.press('Escape');
      await alice.page.getByRole('button', { name: 'Add', exact: true }).click();
      await clean(alice, 'adding people');
      await alice.page.keyboard.press('Escape');
      await alice.page.getByRole('button', { name: 'Close' }).click();
    }
    await alice.page.getByLabel('Room actions').click();
    await clean(alice, 'the menu of a room');
    await alice.page.keyboard.press('Escape');
    for (const item of ['Edit room…', 'Your name in this room…', 'End room…']) {
      await choose(alice, 'Room actions', item);
      await shown(alice.page.getByRole('dialog'));
      await clean(alice, item);
      await alice.page.getByRole('button', { name: 'Cancel' }).click();
    }
    await alice.page.getByRole('button', { name: 'Open the picture chart.png' }).click();
    await shown(alice.page.getByRole('dialog').getByRole('img'));
    await clean(alice, 'a picture');
    await alice.page.keyboard.press('Escape');

    for (const { name, text } of [
      { name: ended.name, text: 'This room has ended.' },
      { name: booked.name, text: 'This room has not started yet' },
    ]) {
      if (width < 720) await alice.page.getByRole('button', { name: 'Back to your rooms' }).first().click();
      await alice.page.getByRole('link', { name }).click();
      await shown(alice.page.getByText(text).first());
      await clean(alice, text);
    }
    if (width < 720) await alice.page.getByRole('button', { name: 'Back to your rooms' }).first().click();
    await alice.page.getByRole('link', { name: room.name }).click();
    await shown(alice.page.getByRole('img', { name: 'chart.png' }));
    await stage.clientOf('bob').removeParticipants(room.room_id, ['alice']);
    await shown(alice.page.getByText('You were removed from this room.').first());
    await clean(alice, 'a room that one was removed from');
  });
});
