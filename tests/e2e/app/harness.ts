// The session, the remote, and a place to render to. A real app has its own.
import { remoteOf } from "./remote";

const query = new URLSearchParams(location.search);
const userId = query.get("user") ?? "ada";

window.rendered = [];
Object.assign(globalThis, {
  session: { userId, remote: await remoteOf(query.get("remote") ?? location.origin, userId) },
  // A snapshot, which the test reads later.
  render: (value: unknown) => window.rendered.push(JSON.parse(JSON.stringify(value ?? null))),
});
