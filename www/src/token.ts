// A device gets its token from the server's development endpoint, which issues one for any user name.
// An app would ask its own session instead. The token is kept in memory only.

import type { Network } from "./network.ts";

type Reason = "request" | "unauthorized";

/** Returns a header source. It requests a token once, for all callers, and again after a 401. */
export function tokenSource(userId: string, network: Network): (reason: Reason) => Promise<Record<string, string>> {
  let token: Promise<string> | undefined;
  return async (reason) => {
    if (reason === "unauthorized") token = undefined;
    const pending = (token ??= issueToken(userId, network));
    try {
      return { Authorization: `Bearer ${await pending}` };
    } catch (error) {
      if (token === pending) token = undefined; // The next call tries again.
      // An error here would mean that the user is not signed in. A TypeError means that there is no
      // network: the request itself will fail with the right error.
      if (error instanceof TypeError) return {};
      throw error;
    }
  };
}

/** Requests a new token. A negative lifetime gives an expired one. */
export async function issueToken(userId: string, network: Pick<Network, "fetch">, expiresInSeconds?: number): Promise<string> {
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
