// Where a device gets its token: from the server's development endpoint, which mints one for any
// user name. An app asks its own session instead. The token lives in memory only.

import type { Network } from "./network.ts";

type Reason = "request" | "unauthorized";

/** A header source that asks once, shares one request among callers, and asks again after a 401. */
export function tokenSource(userId: string, network: Network): (reason: Reason) => Promise<Record<string, string>> {
  let token: Promise<string> | undefined;
  return async (reason) => {
    if (reason === "unauthorized") token = undefined;
    const asked = (token ??= mint(userId, network));
    try {
      return { Authorization: `Bearer ${await asked}` };
    } catch (error) {
      if (token === asked) token = undefined; // A failure is not kept: the next request asks again.
      // A source that fails means that the user is not signed in. Without a network nobody knows: the
      // request itself will say so, and one that does get through is asked for its token then.
      if (error instanceof TypeError) return {};
      throw error;
    }
  };
}

/** A new token. One whose life is negative is over already. */
export async function mint(userId: string, network: Pick<Network, "fetch">, expiresInSeconds?: number): Promise<string> {
  const response = await network.fetch(new URL("/dev/token", location.origin), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ userId, expiresInSeconds }),
  });
  if (!response.ok) {
    throw new Error(`POST /dev/token answered ${response.status}: start datum-server with --dev to run the demo`);
  }
  const reply: unknown = await response.json();
  if (typeof reply === "object" && reply !== null && "token" in reply && typeof reply.token === "string") return reply.token;
  throw new Error("POST /dev/token answered without a token: is this datum-server?");
}
