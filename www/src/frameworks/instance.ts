// The instance that the apps of all frameworks show: made once, outside of components.

import { Datum, type Entity } from "datum-sync";

import { issueToken } from "../token.ts";
import { currentUser } from "../user.ts";

export interface Task extends Entity {
  title: string;
  done: boolean;
}

/** Two people, so that the user can be switched. */
export const people = ["Ada", "Ben"].map((name) => ({ name, userId: `${currentUser()}/${name.toLowerCase()}` }));

let datum: Datum<{ tasks: Task }> | undefined;
const tokens = new Map<string, Promise<string>>();

/** Asks for a token of the current user, as an app asks its session. */
async function headers(reason: "request" | "unauthorized"): Promise<Record<string, string>> {
  const userId = datum?.currentUserId ?? people[0]?.userId ?? "";
  let token = reason === "unauthorized" ? undefined : tokens.get(userId);
  if (token === undefined) tokens.set(userId, (token = issueToken(userId, { fetch: (input, init) => fetch(input, init) })));
  try {
    return { Authorization: `Bearer ${await token}` };
  } catch (error) {
    tokens.delete(userId);
    // No network: the request itself fails with the right error.
    if (error instanceof TypeError) return {};
    throw error;
  }
}

export const opening = Datum.initialize<{ tasks: Task }>({
  name: "frameworks",
  entities: { tasks: {} },
  remote: { url: location.origin, headers },
  initialUserId: people[0]?.userId ?? "",
  autoStartSync: true,
  realtime: true,
}).then((opened) => (datum = opened));

export const switchTo = async (newUserId: string): Promise<void> => {
  await (await opening).switchUser({ newUserId, strategy: "keepLocal" });
};
