// The remote in memory of the packed package against the protocol: its conversations, and the real server's answers.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "./lib/test.mjs";
import { conversations } from "./lib/conversations.mjs";
import { history } from "./lib/histories.mjs";
import { installPackage } from "./lib/package.mjs";
import { client, startServer } from "./lib/server.mjs";

const HISTORIES = 40;
const REQUESTS = 80;

let installed, server, MemoryRemote;
before(async () => {
  [installed, server] = await Promise.all([installPackage(), startServer()]);
  ({ MemoryRemote } = await import(pathToFileURL(join(installed.root, "node_modules/datum-sync/testing.js"))));
});
after(async () => {
  await server?.stop();
  await installed?.remove();
});

test("the conversations of the protocol hold", async (t) => {
  // One remote for all, as one server is: their users and spaces differ.
  const remote = new MemoryRemote();
  const all = await conversations();
  assert.ok(all.length > 60);
  for (const { name, hold } of all) await t.test(name, () => hold(remote));
});

/** Returns what the two must have in common: no times, no texts for people, no cursors, and no count, which may be too great. */
function compared(reply) {
  const plain = JSON.parse(JSON.stringify(reply));
  for (const name of ["cursor", "serverTime", "serverId", "epoch", "message", "requestId", "remaining"]) delete plain[name];
  for (const result of plain.results ?? []) delete result.message;
  return plain;
}

test("it answers random histories of users who share spaces as the server does", async () => {
  const remote = new MemoryRemote();
  const tokens = new Map();
  async function ofServer(user, call, body) {
    if (!tokens.has(user)) tokens.set(user, (await client(server.url, user)).headers);
    const headers = { "content-type": "application/json", ...tokens.get(user) };
    const reply = await fetch(`${server.url}/sync/v1/${call}`, { method: "POST", headers, body: JSON.stringify(body) });
    return reply.status === 200 ? reply.json() : { status: reply.status, ...(await reply.json()) };
  }
  const ofMemory = (user, call, body) =>
    remote[call]({ ...JSON.parse(JSON.stringify(body)), userId: user }, new AbortController().signal).catch(({ status, code }) => ({ status, code }));

  const seen = new Set();
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const { next, told } = history(seed);
    for (let number = 0; number < REQUESTS; number++) {
      const request = next();
      const { user, call, body, cursor } = request;
      const [theirs, ours] = (cursor?.pair ?? [null, null]).map((cursor) => (call === "pull" ? { ...body, cursor } : body));
      const [expected, found] = [await ofServer(user, call, theirs), await ofMemory(user, call, ours)];
      assert.deepEqual(compared(found), compared(expected), `seed ${seed}, request ${number} of ${user}: ${call} ${JSON.stringify(body)}`);
      assert.ok((found.remaining ?? 0) <= (expected.remaining ?? 0) && (found.remaining === undefined) === (expected.remaining === undefined));
      for (const { status, code } of [...(expected.results ?? []), expected]) seen.add([status, code].filter(Boolean).join(" "));
      told(request, expected, expected.cursor && [expected.cursor, found.cursor]);
    }
  }
  for (const code of ["notMember", "readOnly", "notOwner", "lastOwner", "idTaken", "invalidId", "invalidData", "invalidOperation", "invalidVersion", "opIdReused"]) {
    assert.ok(seen.has(`rejected ${code}`), `no history met ${code}: ${[...seen]}`);
  }
});

test("what the server limits to ten thousand can be limited to less", async () => {
  const remote = new MemoryRemote({ maxMembers: 2, maxSpaces: 1 });
  const home = remote.createSpace("ann", "Home");
  const refused = (call) => {
    try {
      call();
    } catch (error) {
      return [error instanceof RangeError, error.code];
    }
  };
  assert.deepEqual(refused(() => remote.createSpace("ann", "Another")), [true, "tooManySpaces"]);
  remote.setRole("ann", home, "bob", "reader");
  assert.deepEqual(refused(() => remote.setRole("ann", home, "cleo", "reader")), [true, "tooManyMembers"]);
  remote.maxMembers = 3;
  remote.createSpace("cleo", "Hers");
  assert.deepEqual(refused(() => remote.setRole("ann", home, "cleo", "reader")), [true, "tooManySpaces"]);
});
