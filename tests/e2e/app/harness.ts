// Who is signed in, where the remote is, and where a page shows things. An app has its own.
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
  // A copy of what it is now, for the test to read later.
  render: (value: unknown) => window.rendered.push(JSON.parse(JSON.stringify(value ?? null))),
});

export {};
