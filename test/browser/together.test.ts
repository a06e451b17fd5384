import { describe, expect, test } from 'vitest';
import { findChromium, NO_CHROMIUM, sayNoChromium } from './chromium.ts';
import { evaluate, gone, shown, useStage } from './stage.ts';
import { choose, enter, messageField, messages, person, say, type Visitor } from './visitor.ts';

const chromium = await findChromium();
if (!chromium) sayNoChromium('The web client with three users is not tested.');

const PHONE = { viewport: { width: 390, height: 760 }, colorScheme: 'dark', hasTouch: true } as const;

/** Opens the menu of a message by keyboard, and chooses an action. */
async function act({ page }: Visitor, text: string, action: string): Promise<void> {
  const menu = page.getByRole('article').filter({ hasText: text }).getByLabel('Message actions', { exact: true });
  await menu.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: action }).press('Enter');
}

describe.skipIf(!chromium)(chromium ? 'three users' : `three users (skipped: ${NO_CHROMIUM})`, () => {
  const stage = useStage(chromium);
  const { clientOf, come } = stage;

  /** Signs in Alice, Bob and Carol, and joins them to a room. Carol uses a phone with a dark color scheme. */
  async function three() {
    const name = `Three ${Math.random().toString(36).slice(2, 8)}`;
    const { room_id } = await clientOf('alice').createRoom({ name, participant_ids: ['bob', 'carol'] });
    const [alice, bob, carol] = await Promise.all([come('alice'), come('bob'), come('carol', PHONE)]);
    await Promise.all([enter(alice, name), enter(bob, name), enter(carol, name)]);
    return { name, room_id, alice, bob, carol };
  }

  test('see who is typing, who has read a message, and which rooms are unread', async () => {
    const { name, alice, bob, carol } = await three();
    await messageField(bob).pressSequentially('I am', { delay: 50 });
    await shown(alice.page.getByText('bob is typing…'));
    await shown(carol.page.getByText('bob is typing…'));
    await messageField(bob).press('Enter');
    await shown(messages(alice, 'I am'));
    await gone(alice.page.getByText('bob is typing…'));
    await shown(messages(bob, 'I am').filter({ hasText: /Seen by .*(alice.*carol|carol.*alice)/ }));
    // On a phone, the list of rooms is a separate page.
    await carol.page.getByLabel('Back to your rooms').click();
    await say(alice, 'Carol?');
    await shown(carol.page.getByRole('link', { name }).filter({ hasText: 'Unread' }));
    await enter(carol, name);
    await shown(messages(carol, 'Carol?'));
    await carol.page.getByLabel('Back to your rooms').click();
    await gone(carol.page.getByRole('link', { name }).filter({ hasText: 'Unread' }));
  });

  test('reply, edit and delete by keyboard, and everybody sees the changes', async () => {
    const { room_id, alice, bob, carol } = await three();
    await say(alice, 'Pump 7 is on');
    await shown(messages(bob, 'Pump 7 is on'));
    await act(bob, 'Pump 7 is on', 'Reply');
    await shown(bob.page.getByText('Reply to alice: Pump 7 is on'));
    await say(bob, 'Since when?');
    await shown(messages(carol, 'Since when?').filter({ hasText: 'Pump 7 is on' }));
    const own = messages(alice, 'Pump 7 is on').first();
    await act(alice, 'Sent', 'Edit');
    await alice.page.getByLabel('Edit message').fill('Pump 8 is on');
    await alice.page.getByLabel('Edit message').press('Enter');
    await shown(messages(bob, 'Pump 8 is on').filter({ hasText: 'Edited' }));
    await shown(messages(carol, 'Since when?').filter({ hasText: 'Pump 8 is on' }));
    await gone(own);
    await act(alice, 'Since when?', 'Delete…');
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
    await shown(messages(bob, 'This message was deleted by alice.'));
    await gone(messages(carol, 'Since when?'));
    // A message with several files, sent by the SDK.
    const bobsRoom = await stage.joinAs('bob', room_id);
    const files = ['one', 'two'].map((text) => new File([text], `${text}.txt`, { type: 'text/plain' }));
    await bobsRoom.send({ text: 'Both', attachments: files });
    await shown(messages(carol, 'Both').filter({ hasText: 'one.txt' }).filter({ hasText: 'two.txt' }));
    expect(await evaluate(carol, 'document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  });

  test('observers, and members of a locked room, have no message field', async () => {
    const { alice, bob, carol } = await three();
    await messageField(carol).fill('Not sent yet');
    await choose(alice, 'Actions for carol', 'Make observer');
    await shown(carol.page.getByText('You are an observer here: you can read, but not write.'));
    await shown(carol.page.getByText('Not sent yet'));
    await shown(person(alice, 'carol').filter({ hasText: 'observer' }));
    await choose(alice, 'Actions for carol', 'Let them write');
    await shown(messageField(carol));
    await choose(alice, 'Room actions', 'Let only admins write');
    for (const one of [bob, carol])
      await shown(one.page.getByText('Only admins can write in this room at the moment.'));
    await say(alice, 'Quiet, please');
    await shown(messages(bob, 'Quiet, please'));
    await choose(alice, 'Room actions', 'Let everyone write');
    await say(bob, 'Thank you');
    await shown(messages(carol, 'Thank you'));
  });

  test('a user who leaves disappears for the others, and the last admin cannot leave', async () => {
    const { name, alice, bob, carol } = await three();
    await choose(bob, 'Room actions', 'Leave room…');
    await bob.page.getByRole('dialog').getByRole('button', { name: 'Leave', exact: true }).click();
    await gone(bob.page.getByRole('link', { name }));
    for (const one of [alice, carol]) await gone(person(one, 'bob'));
    await choose(alice, 'Room actions', 'Leave room…');
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Leave', exact: true }).click();
    await shown(alice.page.getByText('You are the only admin. Make somebody else an admin first.'));
    // The browser logs the 409 response as an error.
    expect(alice.problems.splice(0).every((problem) => problem.includes('409'))).toBe(true);
  });

  test('get announcements and a warning before the end, which an admin can extend', async () => {
    const { name, room_id, alice, bob, carol } = await three();
    const end_time = new Date(Date.now() + 70_000).toISOString();
    await clientOf('alice').updateRoom(room_id, {
      end_time,
      end_warnings_seconds: [60],
      announcements: [
        { announcement_id: 'a', message: 'Hand over now', relative_from: 'end', relative_time_in_seconds: -62 },
      ],
    });
    for (const one of [alice, bob, carol]) {
      await shown(one.page.getByLabel('Announcement').filter({ hasText: 'Hand over now' }));
      await shown(one.page.getByText('This room ends soon.'));
    }
    expect(await evaluate(carol, 'document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(await bob.page.getByRole('button', { name: 'Extend by 15 minutes' }).count()).toBe(0);
    await alice.page.getByRole('button', { name: 'Extend by 15 minutes' }).click();
    for (const one of [alice, bob, carol]) await gone(one.page.getByText('This room ends soon.'));
    const room = await clientOf('bob').getRoom(room_id);
    expect(room).toMatchObject({ name, end_time: new Date(Date.parse(end_time) + 900_000).toISOString() });
  });
});
