import type { ListedParticipant, MyRoom } from '../../../client/src/index.ts';
import { asSentence, moment } from '../ui/text.ts';

/*
 * Describes changes of a room in sentences. They are computed from the old and the new state, so that an event and a repeated read of
 * the list cause the same sentence, and only one.
 */

/** A sentence. Names that users chose are separate parts, because each has its own text direction. */
export type Sentence = readonly (string | { readonly name: string })[];

export const plainText = (sentence: Sentence): string =>
  sentence.map((part) => (typeof part === 'string' ? part : part.name)).join('');

/** Builds a sentence with names, such as sentence`${name} was added.` Omits the full stop if the last name already ends with one. */
function sentence(strings: TemplateStringsArray, ...names: readonly string[]): Sentence {
  const parts = strings.flatMap((string, index) => {
    const name = names[index];
    return name === undefined ? [string] : [string, { name }];
  });
  const whole = plainText(parts);
  const last = parts.at(-1);
  const isDoubled = asSentence(whole.slice(0, -1)) !== whole;
  return typeof last === 'string' && isDoubled
    ? [...parts.slice(0, -1), last.slice(0, -1)].filter(Boolean)
    : parts.filter(Boolean);
}

const nameIn = (people: readonly ListedParticipant[], id: string): string =>
  people.find(({ participant_id }) => participant_id === id)?.username ?? id;

/** Describes who was added, removed, renamed or made an admin. Omits the addition and removal of the user. */
export function peopleChanges(
  before: readonly ListedParticipant[],
  after: readonly ListedParticipant[],
  userId: string,
): Sentence[] {
  const known = new Map(before.map((person) => [person.participant_id, person]));
  const left = new Set(after.map(({ participant_id }) => participant_id));
  const added = after.flatMap(({ participant_id: id }) =>
    known.has(id) || id === userId ? [] : [sentence`${nameIn(after, id)} was added.`],
  );
  const removed = before.flatMap(({ participant_id: id }) =>
    left.has(id) || id === userId ? [] : [sentence`${nameIn(before, id)} was removed.`],
  );
  const changed = after.flatMap((person) => {
    const { participant_id: id, is_admin, username } = person;
    const old = known.get(id);
    if (!old) return [];
    const called = nameIn(before, id);
    const mine = id === userId;
    const sentences: Sentence[] = [];
    if (is_admin && !old.is_admin)
      sentences.push(mine ? ['You are now an admin.'] : sentence`${called} is now an admin.`);
    if (!is_admin && old.is_admin)
      sentences.push(mine ? ['You are no longer an admin.'] : sentence`${called} is no longer an admin.`);
    if ((username ?? id) !== called)
      sentences.push(
        mine ? sentence`You are now called ${username ?? id}.` : sentence`${called} is now called ${username ?? id}.`,
      );
    return sentences;
  });
  return [...added, ...removed, ...changed];
}

/** Describes the changes of a room. */
export function roomChanges(
  before: Pick<MyRoom, 'name' | 'description' | 'start_time' | 'end_time' | 'status'>,
  after: Pick<MyRoom, 'name' | 'description' | 'start_time' | 'end_time' | 'status'>,
): Sentence[] {
  const sentences: Sentence[] = [];
  if (after.name !== before.name) sentences.push(sentence`The room is now called “${after.name}”.`);
  if (after.description !== before.description) sentences.push(['The description was changed.']);
  if (after.start_time !== before.start_time && after.status === 'booked')
    sentences.push([asSentence(`The room starts at ${moment(after.start_time)}`)]);
  // Omitted for an ended room, because the composer shows that it has ended.
  if (after.end_time !== before.end_time && after.status !== 'ended')
    sentences.push([
      after.end_time ? asSentence(`The room ends at ${moment(after.end_time)}`) : 'The room no longer has an end time.',
    ]);
  return sentences;
}
