// The session, the remote's address, and a place to render to. A real app has its own.
const query = new URLSearchParams(location.search);
const userId = query.get("user") ?? "ada";
const url = query.get("remote") ?? location.origin;

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

window.rendered = [];
Object.assign(globalThis, {
  session: { url, userId, token },
  // A snapshot, which the test reads later.
  render: (value: unknown) => window.rendered.push(JSON.parse(JSON.stringify(value ?? null))),
});

export {};
