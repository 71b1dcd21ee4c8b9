// `npx datum-sync conformance`: the conformance kit against a running server or an adapter's module.

import { exec } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CHAPTERS, CHECK_IDS, checkRemoteAdapter, checkServer } from "../conformance/index.js";
import { DONE, FAILED, USAGE, UsageError, whole } from "./dispatch.js";

const seconds = whole(1, 86_400);
const names = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

/** Chapters or checks, which must be known. */
function checks(text, option) {
  const given = names(text);
  const unknown = given.find((name) => !CHAPTERS.includes(name) && !CHECK_IDS.some(({ id }) => id === name));
  if (unknown !== undefined) throw new UsageError(`${option} ${unknown}: there is no such chapter or check. Chapters are ${CHAPTERS.join(", ")}; --list has the checks.`);
  return given;
}

function address(text, option) {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`${option} ${text}: give an address, such as https://api.example.com. It is what stands before /sync/v1.`);
}

export const options = {
  url: { value: "URL", about: "the server's address: what stands before /sync/v1", read: address },
  token: { value: "TOKEN", about: "a token of a user for tests, or DATUM_TOKEN in the environment" },
  "token-b": { value: "TOKEN", about: "a token of a second user, for what users must not see of each other, or DATUM_TOKEN_B" },
  dev: { about: "the server gives tokens for any name at /dev/token, as `datum-server --dev` does: with them the protocol's own conversations run, too" },
  adapter: { value: "FILE", about: "a module whose default export is a RemoteAdapter, or a function that returns { adapter, userId, other, … }, instead of --url" },
  user: { value: "ID", about: "the user of --token or of the adapter, where a token does not say it" },
  "user-b": { value: "ID", about: "the user of --token-b, likewise" },
  entity: { value: "NAME", about: "an entity type that the backend knows and the run may write; a second one shows whether the backend keeps types apart [tasks]", many: true },
  fields: { value: "A,B", about: "two fields of that type for text", initial: "title,note" },
  only: { value: "CHAPTER", about: "only this chapter, or this check", read: checks, many: true },
  without: { value: "CHAPTER", about: "a chapter or check that the backend does not promise to pass: it is run, and does not count", read: checks, many: true },
  "backup-command": { value: "COMMAND", about: "a shell command that copies the backend's data, for what devices see of a restored backup" },
  "restore-command": { value: "COMMAND", about: "one that puts that copy back as your manual says, new epoch included, and ends when the backend answers again" },
  origin: { value: "ORIGIN", about: "a page's origin that the server must allow" },
  timeout: { value: "SECONDS", about: "how long one request may take", initial: 15, read: seconds },
  limit: { value: "SECONDS", about: "how long the run may take", initial: 300, read: seconds },
  json: { about: "print the report as JSON" },
  list: { about: "print the checks, and do nothing" },
};

export const notes = `It writes rows with ids of its own as the users of the tokens, and deletes them again. Use accounts for tests, in which there is little else.
It ends with 0 if every check that was judged has passed, 1 if one has failed, 2 if it could not run or not end.
What each check is for stands in docs/conformance.md, what the protocol says in server/PROTOCOL.md.`;

export async function run(values, io) {
  if (values.list) {
    for (const { id, title } of CHECK_IDS) io.out(`${id.padEnd(24)} ${title}`);
    return DONE;
  }
  const check = await target(values);
  const show = values.json ? undefined : progress(io);
  const restore = restoring(values);
  const stop = new AbortController();
  const interrupted = () => stop.abort();
  process.once("SIGINT", interrupted);
  const [first = "tasks", ...more] = values.entity.flatMap(names);
  const fields = names(values.fields);
  if (fields.length !== 2) throw new UsageError(`--fields ${values.fields}: give two names with a comma between.`);
  const settings = {
    entity: [first, ...more],
    fields,
    only: values.only.flat(),
    without: values.without.flat(),
    timeout: values.timeout * 1_000,
    limit: values.limit * 1_000,
    signal: stop.signal,
    ...(restore === undefined ? {} : { restore }),
    ...(show === undefined ? {} : { onStart: show.start, onResult: show.result }),
  };
  const report = await check(settings).finally(() => process.off("SIGINT", interrupted));
  if (show === undefined) io.out(JSON.stringify(report, (name, value) => (name === "text" || name === "summary" ? undefined : value), 2));
  else show.end(report);
  await flushed();
  return report.stopped !== undefined ? USAGE : report.passed ? DONE : FAILED;
}

/** The operator's commands, in a shell. What they print is shown if they fail. */
function restoring({ backupCommand, restoreCommand, limit }) {
  if (backupCommand === undefined && restoreCommand === undefined) return undefined;
  if (backupCommand === undefined || restoreCommand === undefined) throw new UsageError("--backup-command and --restore-command belong together: give both.");
  const command = (option, text) => () =>
    new Promise((resolve, reject) => {
      exec(text, { timeout: limit * 1_000 }, (error, out, err) => {
        if (error === null) resolve();
        else reject(new Error(`--${option} ended with ${error.signal ?? error.code}: ${`${err}${out}`.trim().slice(-1_000) || "it said nothing"}`));
      });
    });
  return { backup: command("backup-command", backupCommand), restore: command("restore-command", restoreCommand) };
}

/** Returns what runs the checks: against a server or an adapter. */
async function target(values) {
  const { url, adapter: file, user, userB } = values;
  if ((url === undefined) === (file === undefined)) throw new UsageError("Give --url for a server, or --adapter for a module with an adapter.");
  if (file !== undefined) return adapterTarget(file, user, userB);
  const tokenFor = values.dev ? (userId) => devToken(url, userId) : undefined;
  const name = Math.random().toString(36).slice(2, 10);
  const token = values.token ?? process.env.DATUM_TOKEN ?? (await tokenFor?.(`kit-a-${name}`));
  const tokenB = values.tokenB ?? process.env.DATUM_TOKEN_B ?? (await tokenFor?.(`kit-b-${name}`));
  if (!token) throw new UsageError("--token is missing: the token of a user for tests, or DATUM_TOKEN in the environment, or --dev where the server gives tokens.");
  const vectors = (file) => readFile(new URL(`../server/vectors/${file}`, import.meta.url), "utf8");
  const own = { url, token, tokenFor, vectors, userId: user, userIdB: userB, ...(tokenB ? { tokenB } : {}), origin: values.origin };
  return (settings) => checkServer({ ...settings, ...own });
}

async function adapterTarget(file, user, userB) {
  let module;
  try {
    module = await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    throw new UsageError(`--adapter ${file}: the module cannot be loaded: ${error?.message ?? error}.`);
  }
  const given = module.default ?? module.adapter;
  const made = typeof given === "function" ? await given() : given;
  const { adapter, ...own } = typeof made?.pull === "function" ? { adapter: made } : (made ?? {});
  if (typeof adapter?.pull !== "function" || typeof adapter.push !== "function") {
    throw new UsageError(`--adapter ${file}: the default export must be a RemoteAdapter, or a function that returns { adapter }.`);
  }
  const userId = user ?? own.userId;
  const other = own.other ?? (userB === undefined ? undefined : { userId: userB });
  return (settings) => checkRemoteAdapter(adapter, { ...settings, ...own, ...(userId === undefined ? {} : { userId }), ...(other === undefined ? {} : { other }) });
}

async function devToken(url, userId) {
  const address = `${url.replace(/\/+$/, "")}/dev/token`;
  try {
    const response = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ userId }), signal: AbortSignal.timeout(10_000) });
    const { token } = await response.json();
    if (typeof token === "string") return token;
  } catch {
    // Said below.
  }
  throw new UsageError(`--dev: POST ${address} gave no token. Give --token and --token-b instead.`);
}

/** Shows the run: a line that changes on a terminal, plain lines elsewhere. */
function progress(io) {
  const isTerminal = process.stderr.isTTY === true;
  const paint = process.stdout.isTTY === true && !process.env.NO_COLOR ? (code, text) => `\u001b[${code}m${text}\u001b[0m` : (_, text) => text;
  const colours = { ok: 32, FAILED: 31 };
  const clear = () => isTerminal && process.stderr.write("\r\u001b[K");
  let chapter;
  return {
    start(title, done, all) {
      if (!isTerminal) return;
      clear();
      process.stderr.write(`[${done}/${all}] ${title}`.slice(0, (process.stderr.columns ?? 80) - 1));
    },
    result(result) {
      clear();
      if (result.outcome === "notRun") return;
      if (result.chapter !== chapter) io.out((chapter = result.chapter));
      const [first, ...rest] = result.text.split("\n");
      io.out([first.replace(/^ {2}(ok|FAILED)\b/, (_, mark) => `  ${paint(colours[mark], mark)}`), ...rest].join("\n"));
    },
    end(report) {
      clear();
      io.out(`\n${report.summary}`);
    },
  };
}

/** What was printed must not be cut off where standard output is a pipe. */
const flushed = () => new Promise((resolve) => process.stdout.write("", resolve));
