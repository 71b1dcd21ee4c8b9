import type { Datum, DeadLetter, Entity, SpaceRole } from "datum-sync";

export interface Item extends Entity {
  title: string;
  done: boolean;
}

// #region sharing
/** Makes a list that others can be invited to. Works offline. */
export async function makeList(
  datum: Datum,
  name: string,
  titles: string[],
) {
  const spaceId = await datum.spaces().create(name);
  const drafts = titles.map((title) => ({ title, done: false }));
  await datum.manager<Item>("items").createMany(drafts, { spaceId });
  return spaceId;
}

/** Says what a user may do with a list. Null: not even see it. */
export async function allow(
  datum: Datum,
  spaceId: string,
  userId: string,
  role: SpaceRole | null,
) {
  const spaces = datum.spaces();
  if (role === null) await spaces.remove(spaceId, userId);
  else await spaces.setRole(spaceId, userId, role);
}

/** Keeps an edit that its list did not take, as the user's own item. */
export async function keepMine(datum: Datum, letter: DeadLetter) {
  const { title, done } = contentOf(letter);
  await datum.manager<Item>("items").create({ title, done });
  await datum.discardDeadLetter(letter.id);
}

/** The edits that a list did not take: `notMember`, `readOnly`. */
export async function refusedEdits(datum: Datum, userId: string) {
  const letters = await datum.deadLetters(userId);
  return letters.filter((letter) => letter.spaceId !== undefined);
}
// #endregion

/** The item as it would have been. */
export function contentOf({ data }: DeadLetter) {
  const item = { title: "", done: false };
  return Object.assign(item, data) as Pick<Item, "title" | "done">;
}
