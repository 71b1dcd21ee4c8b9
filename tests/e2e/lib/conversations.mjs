// Runs `server/vectors/conversations.json` against a remote that is a `RemoteAdapter`, which gets the user as an argument and has no HTTP,
// or against a server over HTTP. PROTOCOL.md explains the format.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const vectors = new URL("../../../server/vectors/conversations.json", import.meta.url);

const CALLS = { "POST /sync/v1/pull": "pull", "POST /sync/v1/push": "push" };

/** Returns true for what an adapter is not asked: metadata, text that is not JSON, another user than that of the argument. */
const isBeyond = ({ operator, request, text, body }) =>
  operator === undefined && (CALLS[request] === undefined || (text !== undefined && !isJson(text)) || ![undefined, null, "$user"].includes(body?.userId));

/** The last step of this one tells two numbers apart that are one float. */
const DECIMALS = /^what no client could edit/;

/** Returns the conversations, each a name and a function that has it with a remote. */
export async function conversations() {
  return (await read()).flatMap(({ name, steps }, number) => {
    const asked = steps.slice(0, DECIMALS.test(name) ? -1 : undefined).filter((step) => !isBeyond(step));
    return asked.length === 0 ? [] : [{ name, hold: (remote) => hold(adapter(remote), asked, number) }];
  });
}

/**
 * Returns all conversations, each a name, its steps, and a function that has it with a server. That has `operate(order)`, and
 * `send(userId, method, path, text)`, which resolves with `{ status, reply }`; a step to which it resolves with undefined is passed over.
 */
export async function wholeConversations() {
  return (await read()).map(({ name, steps }, number) => {
    const all = steps.slice(0, DECIMALS.test(name) ? -1 : undefined);
    return { name, steps, hold: (server) => hold(server, all, number) };
  });
}

const read = async () => JSON.parse(await readFile(vectors, "utf8")).conversations;

/** A remote as a server. */
const adapter = (remote) => ({
  operate: (order) => operate(remote, order),
  async send(userId, method, path, text) {
    try {
      return { status: 200, reply: await remote[CALLS[`${method} ${path}`]]({ ...JSON.parse(text), userId }, new AbortController().signal) };
    } catch (error) {
      return { status: error.status, reply: { code: error.code } };
    }
  },
});

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function hold(server, steps, number) {
  const known = new Map([1, 2, 3].map((n) => [`s${n}`, `0198b6a0-7c1e-7000-8000-${String(number).padStart(8, "0")}000${n}`]));
  for (const name of ["ann", "bob"]) known.set(name, `${name}${number}`);
  for (const [place, step] of steps.entries()) {
    if (step.operator !== undefined) {
      await server.operate(step.operator);
      continue;
    }
    const userId = known.get(step.user);
    known.set("user", userId);
    const [method, path] = step.request.split(" ");
    const body = step.body === undefined ? "" : JSON.stringify(fill(known, step.body));
    const answer = await server.send(userId, method, path.replace("$user", encodeURIComponent(userId)), step.text ?? body);
    if (answer === undefined) continue;
    const at = `[${place}] ${JSON.stringify(answer.reply)}`;
    assert.equal(answer.status, step.status, at);
    check(at, known, step, answer.reply);
  }
}

function operate(remote, order) {
  if (order === "newEpoch") remote.restore(remote.backup());
  else if (["forgetTombstones", "forgetOperations"].includes(order)) remote[order]();
  else throw new Error(`unknown order ${order}`);
}

/** Replaces `$name` by the variable's value, `$name/$other` by two with a slash, and `$$` by `$`. */
function fill(known, value) {
  if (typeof value === "string" && value.startsWith("$$")) return value.slice(1);
  if (typeof value === "string" && value.startsWith("$")) {
    const names = value.split("/").map((name) => name.slice(1));
    return names.length === 1 ? known.get(names[0]) : names.map((name) => known.get(name)).join("/");
  }
  if (Array.isArray(value)) return value.map((one) => fill(known, one));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(known, one)]));
}

const at = (reply, pointer) => pointer.split("/").slice(1).reduce((value, key) => value?.[key], reply);

function check(where, known, step, reply) {
  for (const [name, pointer] of Object.entries(step.keep ?? {})) {
    assert.notEqual(at(reply, pointer), undefined, `${where}: ${pointer}`);
    known.set(name, at(reply, pointer));
  }
  const expected = fill(known, step.reply);
  contains(where, expected, reply);
  for (const pointer of step.exactly ?? []) assert.deepEqual(at(reply, pointer), at(expected, pointer), `${where}: ${pointer}`);
  const side = (text) => (text.startsWith("$") ? fill(known, text) : at(reply, text));
  for (const [a, b] of step.greater ?? []) assert.ok(side(a) > side(b), `${where}: ${a} > ${b}`);
  for (const [a, b] of step.differs ?? []) assert.notEqual(side(a), side(b), `${where}: ${a}, ${b}`);
}

/** Checks that every expected field is there, and that lists have equal lengths. An expected null may be absent. */
function contains(where, expected, got) {
  if (Array.isArray(expected)) {
    assert.equal(got?.length, expected.length, where);
    expected.forEach((one, place) => contains(`${where}[${place}]`, one, got[place]));
  } else if (typeof expected === "object" && expected !== null) {
    for (const [key, one] of Object.entries(expected)) contains(`${where}.${key}`, one, got?.[key]);
  } else {
    assert.equal(got ?? null, expected ?? null, where);
  }
}
