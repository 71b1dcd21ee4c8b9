import { chapter, server, type Bench } from "../check.js";
import { needs, type Device } from "../device.js";
import { subjectOf, type Answer } from "../target.js";

const base64url = (text: string) => btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const decoded = (part: string) => atob(part.replace(/-/g, "+").replace(/_/g, "/"));

/** Another character in the middle: the last one of a signature has bits that do not count. */
function altered(text: string): string {
  const at = Math.max(0, Math.floor(text.length / 2) - 1);
  return text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
}

/** A token whose signature is another one. */
function tampered(token: string): string {
  const end = token.lastIndexOf(".") + 1;
  return token.slice(0, end) + altered(token.slice(end));
}

function parts(token: string): [string, string, string] {
  const [header = "", claims = "", signature = ""] = token.split(".");
  if (subjectOf(token) === undefined || signature === "") throw needs("a token that is a JWT with a `sub`");
  return [header, claims, signature];
}

async function refused(device: Device, token: string | null): Promise<void> {
  const isRefused = (answer: Answer) => {
    device.expect(answer.status === 401, "401");
    device.expect(answer.code !== undefined, "a body in JSON with a `code`: without it a client takes the answer for a proxy's, and tries again");
  };
  isRefused(await device.ask("pull", { cursor: null, limit: 1 }, { token }));
  const op = device.op("create", device.newId(), null, device.fields("without a right"));
  const mark = await device.mark();
  isRefused(await device.ask("push", { operations: [op] }, { token }));
  device.expect(!(await device.since(mark)).has(op.id), "401, and nothing written", "401, and the row was written");
}

const LOST = "Anybody reads and writes what belongs to a user.";

/** Who is let in. */
export const auth = chapter("auth", {
  none: [
    "A request without a token is 401",
    { costs: LOST, section: "3" },
    async (bench) => {
      server(bench);
      await refused(bench.a, null);
    },
  ],
  tampered: [
    "A token with another signature is 401",
    { costs: LOST, section: "3" },
    async (bench) => refused(bench.a, tampered(server(bench).token)),
  ],
  foreignClaims: [
    "A token that was made out to another user afterwards is 401",
    { costs: LOST, section: "3" },
    async (bench) => {
      const [header, claims, signature] = parts(server(bench).token);
      const forged = JSON.stringify({ ...(JSON.parse(decoded(claims)) as object), sub: "somebody-else" });
      await refused(bench.a, `${header}.${base64url(forged)}.${signature}`);
    },
  ],
  unsigned: [
    "A token without a signature (`alg: none`) is 401",
    { costs: LOST, section: "3" },
    async (bench) => {
      const [, claims] = parts(server(bench).token);
      await refused(bench.a, `${base64url(JSON.stringify({ alg: "none", typ: "JWT" }))}.${claims}.`);
    },
  ],
  repeated: [
    "A batch that was refused with 401 is applied once when it is sent again",
    { costs: "What is written while a token expires is lost, or written twice.", section: "3" },
    async (bench) => {
      const { a } = bench;
      const mark = await a.mark();
      const operations = ["one", "two", "three"].map((text) => a.op("create", a.newId(), null, a.fields(text)));
      await expired(bench, operations);
      await a.write(...operations);
      const { changes } = await a.drain(mark);
      for (const { id } of operations) {
        const count = changes.filter((change) => change.id === id).length;
        a.expect(count === 1, "each row once", `the row ${id} ${count} times`);
      }
    },
  ],
  userMismatch: [
    "A request that means another user is 409 `userMismatch`, and does nothing",
    { costs: "A device whose session changes sends one user's data as another's.", section: "3.1" },
    async (bench) => {
      const { a, b } = bench;
      if (a.http === undefined && !bench.hasTwoSessions) throw needs("a second adapter with a session of its own: `other`");
      const userId = b?.party.userId ?? "somebody-else";
      a.expect((await a.ask("pull", { cursor: null, limit: 1, userId })).status === 409, "409 with the code `userMismatch`");
      const mark = await a.mark();
      const op = a.op("create", a.newId(), null, a.fields("of somebody else"));
      const answer = await a.ask("push", { operations: [op], userId });
      a.expect(answer.status === 409 && (a.http === undefined || answer.code === "userMismatch"), "409 with the code `userMismatch`");
      a.expect(!(await a.since(mark)).has(op.id), "nothing written");
    },
  ],
});

/** Sends a batch while the session has ended, perhaps in the middle of it. */
async function expired(bench: Bench, operations: ReturnType<Device["op"]>[]): Promise<void> {
  const { a, session } = bench;
  if (a.http !== undefined) {
    const answer = await a.ask("push", { operations }, { token: tampered(a.http.token) });
    a.expect(answer.status === 401, "401");
    return;
  }
  if (session === undefined) throw needs("`session`, with functions that end and renew the adapter's session");
  const sending = a.ask("push", { operations });
  await session.end();
  const answer = await sending;
  const isRefused = answer.status === 401 || (answer.status === 200 && Array.isArray(answer.body?.results));
  await session.renew();
  a.expect(isRefused, "`unauthorized`, or verdicts for what was decided before");
}
