// What the panel says and keeps, without a page: the pure parts of `src/js/devtools`.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { before, test } from "./lib/test.mjs";
import { load } from "./lib/hooks.mjs";

const SOURCE = fileURLToPath(new URL("../../src/js/devtools/", import.meta.url));
const NAMES = ["cycles", "filter", "format", "headline", "log-words", "ring", "settings", "sides", "timeline", "why"];

let it;
before(async () => (it = await load(NAMES.map((name) => `export * from "${join(SOURCE, name)}.ts";`).join("\n"))));

test("nothing in the panel makes elements of text", async () => {
  const files = (await readdir(SOURCE, { recursive: true })).filter((name) => name.endsWith(".ts"));
  assert.ok(files.length > 25);
  for (const file of files) {
    const text = await readFile(join(SOURCE, file), "utf8");
    for (const way of ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "createContextualFragment", "setHTML"]) assert.ok(!text.includes(way), `${file} has ${way}`);
  }
});

test("every text has a contrast of 4.5 to 1 at least, in both themes", async () => {
  const styles = await readFile(join(SOURCE, "styles.ts"), "utf8");
  const colours = new Map([...styles.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(([, name, light, dark]) => [name, [light, dark]]));
  const luminance = (colour) => {
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const surfaces = ["ground", "raised", "hover", "chosen"];
  const tints = ["good", "info", "warn", "bad"];
  const pairs = [
    ...surfaces.flatMap((surface) => [["ink", surface], ["soft", surface], ["bad", surface]]),
    ...tints.flatMap((tone) => [[tone, `${tone}-tint`], ["ink", `${tone}-tint`]]),
    ...["good", "info", "warn"].map((tone) => ["soft", `${tone}-tint`]),
    ["on-accent", "accent"],
  ];
  for (const [text, under] of pairs) {
    for (const theme of [0, 1]) {
      const found = contrast(colours.get(text)[theme], colours.get(under)[theme]);
      assert.ok(found >= 4.5, `${text} on ${under}, ${theme === 0 ? "light" : "dark"}: ${found.toFixed(2)}`);
    }
  }
});

test("sizes, times and counts are read at a glance", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 1024 ** 2 * 150, undefined].map(it.bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "150 MiB", "–"]);
  assert.deepEqual([0, 340, 1200, 200_000, 3_600_000, undefined].map(it.duration), ["0 ms", "340 ms", "1.2 s", "3 min 20 s", "1 h 0 min", "–"]);
  assert.deepEqual([0, 999, 1000, 1234567].map(it.number), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([it.plural(1, "entity", "entities"), it.plural(1000, "entity", "entities")], ["1 entity", "1,000 entities"]);
  assert.equal(it.clock("no time"), "no time");
  const now = new Date(2026, 0, 31, 12, 5, 9);
  assert.equal(it.clock(now.toISOString(), now), "12:05:09");
  assert.equal(it.clock(now.toISOString(), new Date(2026, 1, 1)), "2026-01-31 12:05:09");
});

test("a preview reads no more of a value than it shows, and cuts no character in two", () => {
  let reads = 0;
  const long = Array.from({ length: 10_000 }, () => ({ get text() { return reads++, "word"; } }));
  assert.ok(it.preview(long, 100).length <= 101);
  assert.ok(reads < 20, `${reads}`);
  assert.equal(it.cut("ab😀cd", 3), "ab…");
  assert.equal(it.preview({ a: [1, null, "x"], "<b>": true }), '{ a: [1, null, "x"], <b>: true }');
  let deep = {};
  for (let n = 0; n < 100_000; n++) deep = { deep };
  assert.ok(it.preview(deep, 60).length <= 61);
});

test("lists forget their oldest entries", () => {
  const ring = new it.Ring(3);
  for (let n = 0; n < 100; n++) ring.push(n);
  assert.deepEqual(ring.newest(), [99, 98, 97]);
  assert.ok(ring.items.length < 6);
  const histories = new it.Histories(5, 2);
  for (const [ids, value] of [[["a", "b"], 1], [["b"], 2], [["a", "c"], 3], [[], 4], [["a"], 5]]) histories.push("tasks", ids, value);
  assert.deepEqual(["a", "b", "c", "d"].map((id) => histories.newest("tasks", id)), [[5, 3], [2], [3], []], "the oldest went, and of one no more than two are kept");
  assert.deepEqual([histories.newest("notes", "a"), histories.size], [[], 4]);
  histories.push("notes", Array.from({ length: 100 }, (_, n) => `note-${n}`), 6);
  assert.deepEqual([histories.newest("notes", "note-99"), histories.newest("notes", "note-94"), histories.newest("tasks", "a"), histories.size], [[6], [], [], 5]);
});

test("what is typed becomes a query, or says what is wrong", () => {
  const query = (text, state = "", fields = ["title"]) => it.queryFor({ text, state }, fields);
  assert.deepEqual(query("").query, {});
  assert.deepEqual(query(" milk ").query, { where: { or: [{ field: "id", containsIgnoreCase: "milk" }, { field: "title", containsIgnoreCase: "milk" }] } });
  assert.deepEqual(query("x", "", ["a.b"]).query.where.or[1].field, "a\\.b");
  assert.deepEqual(query('{"field":"done","equals":true}', "unsynced").query.where, { and: [{ field: "done", equals: true }, { field: "$syncState", notEquals: "synced" }] });
  assert.deepEqual(query('{"orderBy":[{"field":"a"}]}', "conflict").query, { orderBy: [{ field: "a" }], where: { field: "$syncState", equals: "conflict" } });
  assert.deepEqual(query(it.idSearch('{"a":1}')).query.where, { field: "id", equals: '{"a":1}' });
  assert.match(query("{").error, /not JSON/);
  assert.match(query('{"where":{},"limit":3}').error, /limit/);
  assert.deepEqual(it.textFields([{ id: "1", title: "a", n: 1 }, { note: "b", "": "c" }], new Set(["id"])), ["title", "note"]);
});

const conflict = (sides) => ({ id: "c", entity: "tasks", entityId: "1", kind: "bothModified", fields: ["title"], ...sides });

test("a conflict is shown field by field: what clashes first, and what is taken if nobody says another", () => {
  const base = { id: "1", version: 1, title: "a", done: false, tags: { x: 1, y: 2 } };
  const clash = conflict({ base, local: { ...base, title: "mine", tags: { y: 2, x: 1 } }, remote: { ...base, version: 2, title: "theirs", done: true, extra: 1 } });
  assert.deepEqual(it.fieldsOf(clash).map(({ field, changed, isClash }) => [field, changed, isClash]), [["title", "both", true], ["done", "remote", false], ["extra", "remote", false], ["tags", "none", false]]);
  assert.deepEqual(it.merged(clash, new Map()), { ...clash.local, done: true, extra: 1 });
  assert.deepEqual(it.merged(clash, new Map([["title", "remote"], ["extra", "local"]])), { ...clash.local, title: "theirs", done: true });
  const deleted = conflict({ kind: "deletedLocally", base, local: null, remote: { ...base, title: "theirs" } });
  assert.deepEqual(it.merged(deleted, new Map()).title, "theirs");
  assert.match(it.story(deleted), /deleted here/);
  assert.ok(it.isSame({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }) && !it.isSame([1], { 0: 1 }) && !it.isSame({ a: 1 }, { b: 1 }));
  // The names of an object's own methods are names like any other, and so is that of its prototype.
  const proto = JSON.parse('{ "__proto__": { "x": 1 } }');
  assert.deepEqual(Object.entries(it.merged(conflict({ base: {}, local: { a: 1 }, remote: proto }), new Map())), [["a", 1], ["__proto__", { x: 1 }]]);
  assert.ok(it.fieldsOf(conflict({ base: {}, local: { toString: "x" }, remote: {} })).some(({ field, remote }) => field === "toString" && remote === undefined));
});

const status = (more = {}) => ({ userId: "ada", status: "completed", progress: 1, pendingOperations: 0, unresolvedConflicts: 0, deadLetters: 0, online: true, lastCompletedAt: "2026-01-31T12:00:00.000Z", errors: [], isLeader: true, ...more, health: { status: "healthy", local: "healthy", remote: "healthy", ...more.health } });

test("the headline names what matters most", () => {
  const says = (more) => it.headline(status(more)).text;
  assert.match(says({}), /synced/);
  assert.match(says({ pendingOperations: 1 }), /^1 write waits\.$/);
  assert.match(says({ status: "paused", pendingOperations: 2 }), /paused. 2 writes wait/);
  assert.match(says({ deadLetters: 1, unresolvedConflicts: 4, pendingOperations: 2 }), /refused by the server/);
  assert.match(says({ status: "failed", health: { status: "unauthorized" } }), /sign-in/);
  assert.match(says({ online: false, pendingOperations: 1 }), /no network. 1 write/);
  assert.match(says({ health: { local: "unhealthy" }, deadLetters: 1 }), /storage/);
  assert.match(says({ status: "idle", lastCompletedAt: undefined }), /No cycle has run/);
});

test("every reason why a write waits has a colour, and what the panel can mend has a button", () => {
  assert.deepEqual(it.remediesFor("otherServer"), ["offer", "wipe"]);
  assert.deepEqual(it.remediesFor("paused"), ["resume"]);
  assert.deepEqual(it.remediesFor("excluded"), []);
  assert.deepEqual(["retryAfter", "paused", "deadLetter"].map(it.toneOf), ["info", "warn", "bad"]);
  const why = (more) => it.shortWhy({ state: "pending", attempts: 0, ...more });
  assert.equal(why({}), "goes with the next cycle");
  assert.equal(why({ state: "blocked", blockedBy: "x" }), "waits for another decision");
  assert.match(why({ lastError: { code: "serverError", status: 503 }, nextAttemptAt: "2026-01-31T12:00:00.000Z" }), /^serverError 503, again at 2026/);
});

const activity = (id, kind, name, more = {}) => ({ id, kind, name, userId: "ada", startedAt: "2026-01-31T12:00:00.000Z", startMs: id, outcome: "ok", durationMs: 5, ...more });

test("the timeline puts phases, requests and commits into their cycle, and a result makes it whole", () => {
  const timeline = new it.Timeline();
  timeline.event({ type: "syncStarted", at: "2026-01-31T12:00:00.000Z", direction: "pushThenPull", userId: "ada" });
  timeline.activity(activity(1, "cycle", "pushThenPull", { outcome: "running", durationMs: undefined, automatic: true }));
  timeline.activity(activity(2, "phase", "push", { parent: 1, outcome: "running", durationMs: undefined }));
  timeline.activity(activity(3, "request", "push", { parent: 2, outcome: "failed", error: { code: "serverError", status: 503, retryable: true }, retryInMs: 400, operations: 2 }));
  timeline.activity(activity(4, "request", "push", { parent: 2, attempt: 2, operations: 2, bytesSent: 2048 }));
  timeline.activity(activity(5, "commit", "append", { parent: 2, source: "remote", bytesReceived: 100 }));
  timeline.activity(activity(2, "phase", "push", { parent: 1, operations: 2 }));
  timeline.event({ type: "syncCompleted", at: "2026-01-31T12:00:01.000Z", userId: "ada", result: { wasCancelled: false, failedCount: 1, duration: 30, pushedCount: 1, pulledCount: 3, bytesPushed: 2048, bytesPulled: 9, conflictsDetected: 0 } });
  timeline.activity(activity(1, "cycle", "pushThenPull", { operations: 1, rows: 3, outcome: "failed" }));
  const cycles = timeline.newest();
  assert.equal(cycles.length, 1);
  const [{ outcome, requests, retries, isAutomatic, bytesPushed, steps }] = cycles;
  assert.deepEqual([outcome, requests, retries, isAutomatic, bytesPushed], ["partly", 2, 1, true, 2048]);
  assert.deepEqual(steps.map(({ kind, error }) => [kind, error]), [["phase", undefined], ["request", "serverError 503"], ["request", undefined], ["commit", undefined]]);
  assert.deepEqual(steps[1].facts, ["2 operations", "again in 400 ms"]);
  for (let n = 10; n < 1_000; n++) timeline.activity(activity(n, "cycle", "pullOnly"));
  assert.equal(timeline.newest().length, 100);
});

test("of very many steps, all phases and failures are kept, with the first and the latest", () => {
  const timeline = new it.Timeline();
  const running = { outcome: "running", durationMs: undefined };
  timeline.activity(activity(1, "cycle", "pullOnly", running));
  timeline.activity(activity(2, "phase", "pull", { parent: 1, ...running }));
  const failed = new Set([150, 151, 902]);
  for (let id = 3; id < 903; id++) timeline.activity(activity(id, "request", "pull", { parent: 2, ...(failed.has(id) ? { outcome: "failed", error: { code: "network" } } : {}) }));
  timeline.activity(activity(2, "phase", "pull", { parent: 1, outcome: "failed", error: { code: "network" } }));
  const [{ steps, forgotten, requests }] = timeline.newest();
  assert.deepEqual([steps.length, forgotten, requests], [it.STEPS, 901 - it.STEPS, 900]);
  assert.deepEqual([steps[0].kind, steps[1].id, steps.at(-2).id], ["phase", 3, 901]);
  assert.deepEqual(steps.filter(({ error, kind }) => error && kind === "request").map(({ id }) => id), [...failed]);
  for (let id = 1_000; id < 2_000; id++) timeline.activity(activity(id, "request", "pull", { parent: 1, outcome: "failed", error: { code: "network" } }));
  assert.equal(timeline.newest()[0].steps.length, it.STEPS, "also of failures alone");
});

test("a cycle of another tab is there by the status, and one of this tab is not there twice", () => {
  const timeline = new it.Timeline();
  const at = (second) => `2026-01-31T12:00:0${second}.000Z`;
  const tell = (second, state, more = {}) => timeline.status(status({ status: state, lastStartedAt: at(second), failedOperations: 0, ...more }));
  const seen = () => timeline.newest().map(({ id, outcome, durationMs, error }) => [id, outcome, durationMs, error?.code]);
  timeline.status(status({ lastStartedAt: at(0) }), true);
  tell(1, "idle");
  assert.deepEqual(seen(), [], "what has been before");
  tell(2, "syncing");
  assert.deepEqual(seen(), [[`tab ${at(2)}`, "running", undefined, undefined]]);
  tell(2, "completed", { lastCompletedAt: at(4) });
  tell(2, "completed", { lastCompletedAt: at(4), pendingOperations: 1 });
  // This tab's own: its activity and its event come first.
  timeline.activity(activity(7, "cycle", "pullOnly", { outcome: "running", durationMs: undefined, startedAt: at(5) }));
  timeline.event({ type: "syncStarted", at: at(5), direction: "pullOnly", userId: "ada" });
  tell(5, "syncing");
  timeline.activity(activity(7, "cycle", "pullOnly", { startedAt: at(5) }));
  tell(5, "completed", { lastCompletedAt: at(6) });
  // One so short that the status shows only its end.
  tell(8, "failed", { lastCompletedAt: at(6), errors: [{ code: "network", message: "no answer", retryable: true, at: at(9) }] });
  assert.deepEqual(seen(), [[`tab ${at(8)}`, "failed", 1000, "network"], ["7", "ok", 5, undefined], [`tab ${at(2)}`, "ok", 2000, undefined]]);
  tell(8, "paused");
  assert.equal(timeline.newest()[0].outcome, "failed", "a pause after it does not change how it ended");
});

test("a cycle of this tab that began before its activity was listened for is there by its events alone", () => {
  const timeline = new it.Timeline();
  timeline.event({ type: "syncStarted", at: "2026-01-31T12:00:00.000Z", direction: "pullOnly", userId: "ada" });
  timeline.event({ type: "syncFailed", at: "2026-01-31T12:00:02.000Z", userId: "ada", error: { code: "network", message: "no answer", retryable: true, at: "" } });
  const [{ outcome, durationMs, error }] = timeline.newest();
  assert.deepEqual([outcome, durationMs, error.code], ["failed", 2000, "network"]);
});

test("events and requests become entries of the log, which can be searched and copied", () => {
  const entry = it.entryOf({ type: "dataChanged", at: "2026-01-31T12:00:00.000Z", userId: "ada", entity: "tasks", source: "remote", created: ["1", "2"], updated: [], deleted: ["3"] });
  assert.deepEqual([entry.level, entry.message], ["debug", "tasks: 2 created, 1 deleted."]);
  assert.equal(it.entryOf({ type: "syncProgress", status: status() }), undefined);
  assert.equal(it.entryOf({ type: "ofTomorrow", at: "", userId: "" }).level, "debug");
  const request = it.entryOfActivity(activity(1, "request", "pull", { rows: 3, outcome: "failed", error: { code: "network", retryable: true } }));
  assert.deepEqual([request.scope, request.message], ["remote", "A request failed: pull, network."]);
  assert.equal(it.entryOfActivity(activity(1, "cycle", "pullOnly")), undefined);
  assert.ok(it.contains(request, "NETWORK") && !it.contains(request, "storage"));
  assert.match(it.line(request), /^2026.* debug remote A request failed: pull, network\. \{/);
});

test("a stored mess is read as the usual settings, and a shortcut is read from its words", () => {
  assert.deepEqual(it.readSettings("{{"), it.DEFAULTS);
  assert.deepEqual(it.readSettings('[1]'), it.DEFAULTS);
  assert.deepEqual(it.readSettings('{"isOpen":true,"dock":"right","width":300,"height":-1,"panel":"log"}'), { isOpen: true, dock: "right", width: 300, height: 340, panel: "log" });
  assert.deepEqual(it.shortcutOf("Alt+Shift+D"), { alt: true, control: false, meta: false, shift: true, code: "KeyD" });
  assert.deepEqual(it.shortcutOf("ctrl + F9").code, "F9");
  for (const text of ["", "D", "Alt+", "Hyper+D", "Alt+<"]) assert.equal(it.shortcutOf(text), undefined, text);
});
