// What the pages sync with: the reference server, in development mode.
import type { HttpRemote } from "datum-sync";

export async function remoteOf(url: string, userId: string): Promise<HttpRemote> {
  async function token(): Promise<string> {
    const response = await fetch(`${url}/dev/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ userId }),
    });
    if (!response.ok) throw new Error(`no token: ${response.status}`);
    const reply = (await response.json()) as { token: string };
    return reply.token;
  }
  return { url, headers: async () => ({ Authorization: `Bearer ${await token()}` }) };
}
