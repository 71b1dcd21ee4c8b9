// Why does it not sync? What the log and the report say of it.
import "fake-indexeddb/auto";
import { readFileSync } from "node:fs";
import { Datum } from "datum-sync";
import { MemoryRemote } from "datum-sync/testing";
import { afterEach, expect, test, vi } from "vitest";

let count = 0;
const opened = [];
async function open(config = {}) {
  const datum = await Datum.initialize({ name: `support-${++count}`, entities: { tasks: {} }, remote: new MemoryRemote(), initialUserId: "ada", retry: { maxAttempts: 1 }, ...config });
  opened.push(datum);
  return datum;
}
function listener(logLevel = "info") {
  const entries = [];
  return { entries, config: { logger: { log: (entry) => entries.push(entry) }, logLevel } };
}
const saying = (entries, text) => entries.filter(({ message }) => message.includes(text));

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((datum) => datum.close()));
});

test("the version of the package is known at run time", async () => {
  const { version } = JSON.parse(readFileSync("node_modules/datum-sync/package.json", "utf8"));
  expect(Datum.version).toBe(version);
});

test("the line of a failed cycle has its message and its cause", async () => {
  const { entries, config } = listener();
  const remote = new MemoryRemote();
  const datum = await open({ ...config, remote });
  remote.fail(new Error("the disk is full"));
  const error = await datum.synchronize("ada").catch((error) => error);
  const [line] = saying(entries, "A cycle has failed");
  expect(line).toMatchObject({ level: "warn", fields: { code: "network", retryable: true, cause: expect.stringContaining("the disk is full") } });
  expect(line.message).toContain(error.message);
  expect(datum.statusForUser("ada").current.errors[0].cause).toContain("the disk is full");
  expect(JSON.parse(JSON.stringify(error)).cause).toContain("the disk is full");
});

test("the line of a cycle that failed in part says why", async () => {
  const { entries, config } = listener();
  const datum = await open({ ...config, remote: new MemoryRemote({ decide: () => ({ status: "rejected", code: "readOnly", message: "The list is archived." }) }) });
  await datum.manager("tasks").create({ title: "Buy milk" });
  await datum.synchronize("ada");
  const [line] = saying(entries, "A cycle has ended");
  expect(line.message).toContain("The list is archived.");
  expect(line).toMatchObject({ level: "warn", fields: { code: "rejected", failedCount: 1 } });
  expect(entries.find(({ fields }) => fields.code === "readOnly").fields.reason).toBe("The list is archived.");
});

test("the first tab is told that it leads", async () => {
  const { entries, config } = listener("debug");
  await open(config);
  await vi.waitFor(() => expect(entries.some(({ fields }) => "isLeader" in fields)).toBe(true));
  for (const { message, fields } of entries.filter(({ fields }) => "isLeader" in fields)) {
    expect(message).toMatch(fields.isLeader ? /^This tab leads/ : /does not lead/);
  }
});

test("rows of types that the config does not name are told, with their number", async () => {
  const { entries, config } = listener();
  // An adapter that ignores which types are asked for.
  const memory = new MemoryRemote();
  const remote = { pull: ({ entities, ...request }, signal) => memory.pull(request, signal), push: (request, signal) => memory.push(request, signal) };
  for (const id of ["1", "2"]) memory.put("ada", "notes", { id, text: "secret" });
  memory.put("ada", "tasks", { id: "3", title: "Buy milk" });
  const datum = await open({ ...config, remote });
  const events = datum.events({ type: "rowsIgnored" })[Symbol.asyncIterator]();
  expect((await datum.synchronize("ada")).pulledCount).toBe(1);
  const [line, ...more] = saying(entries, "`notes`");
  expect(line).toMatchObject({ level: "warn", fields: { entity: "notes", count: 2 } });
  expect(more).toEqual([]);
  expect((await events.next()).value).toMatchObject({ entity: "notes", count: 2, userId: "ada" });
  await datum.synchronize("ada");
  expect(saying(entries, "`notes`")).toHaveLength(1);
});

test("writes that nothing sends are told once", async () => {
  vi.useFakeTimers();
  const { entries, config } = listener();
  const datum = await open(config);
  await datum.synchronize("ada");
  for (let n = 0; n < 3; n++) {
    await datum.manager("tasks").create({ title: "Buy milk" });
    await vi.advanceTimersByTimeAsync(10_000);
  }
  expect(saying(entries, "autoStartSync")).toMatchObject([{ level: "warn", scope: "sync" }]);
});

test("without a logger they are told on the console", async () => {
  vi.useFakeTimers();
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const datum = await open();
  await datum.manager("tasks").create({ title: "Buy milk" });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(warn.mock.calls.map(([text]) => text)).toEqual([expect.stringContaining("autoStartSync")]);
});

test.each([
  ["automatic cycles are started", { autoStartSync: true }, () => {}],
  ["the app syncs", {}, (datum) => datum.synchronize("ada")],
  ["sync is paused", {}, (datum) => datum.pauseSync()],
  ["the user is excluded", { excludedSyncUserIds: ["ada"] }, () => {}],
])("nobody is told if %s", async (_, config, act) => {
  vi.useFakeTimers();
  const { entries, config: log } = listener();
  const datum = await open({ ...log, ...config });
  await datum.manager("tasks").create({ title: "Buy milk" });
  await act(datum);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(saying(entries, "autoStartSync")).toEqual([]);
});

test("the report says what there is, and holds no secret", async () => {
  const memory = new MemoryRemote({ decide: ({ data }) => (data?.title === "refused-secret" ? { status: "rejected", code: "no", message: "No." } : undefined) });
  class SecretAdapter {
    token = "adapter-secret";
    // Selects nothing by the scope.
    pull = (request, signal) => memory.pull({ ...request, scope: undefined }, signal);
    push = (request, signal) => memory.push(request, signal);
  }
  const datum = await open({
    remote: new SecretAdapter(),
    entities: { tasks: { conflictResolver: "ask", mergeFields: { votes: "sum" }, localOnly: ["draft"], validate: () => {} } },
    observers: [{ token: "observer-secret", onEvent() {} }],
    defaultSyncOptions: { scope: { query: { team: "scope-secret" } } },
  });
  const tasks = datum.manager("tasks");
  await datum.setCustomMetadata("ada", { key: "metadata-secret" });
  const task = await tasks.create({ title: "entity-secret" });
  await tasks.create({ title: "refused-secret" });
  await datum.synchronize("ada");
  await tasks.patch(task.id, { title: "local-secret" });
  memory.patch("ada", "tasks", task.id, { title: "remote-secret" });
  await datum.synchronize("ada");
  memory.fail(new Error("rejected with Bearer abc.def-secret and eyJhbGciOi.eyJzdWIiOi.secret"));
  await datum.synchronize("ada").catch(() => {});
  await tasks.create({ title: "waiting-secret" });

  const report = await datum.report("ada");
  const text = JSON.stringify(report);
  expect(text).not.toMatch(/secret/);
  expect(report).toMatchObject({
    version: Datum.version,
    userId: "ada",
    isCurrentUser: true,
    config: { name: `support-${count}`, remote: "(SecretAdapter)", entities: { tasks: { conflictResolver: "ask", mergeFields: { votes: "sum" }, localOnly: ["draft"], validate: "(function)" } }, retry: { maxAttempts: 1 }, observers: "(1)" },
    status: { status: "failed", pendingOperations: 2, errors: [{ code: "network" }] },
    outbox: { count: 2, first: [{ entity: "tasks", kind: "patch" }, { kind: "create" }] },
    conflicts: { count: 1, first: [{ entityId: task.id, fields: ["title"] }] },
    deadLetters: { count: 1, first: [{ code: "no", message: "No." }] },
    storage: { users: 1 },
    metrics: { cycles: 3, activeUsers: 1 },
  });
  expect(report.storage.bytes).toBeGreaterThan(0);
  expect(report.log.map(({ message }) => message)).toEqual(expect.arrayContaining([expect.stringContaining("A cycle has begun"), expect.stringContaining("A cycle has failed")]));
  expect(text.length).toBeLessThan(50_000);
});

test("headers are reported by name, and an open config by its settings", async () => {
  const datum = await open({ remote: { url: "http://127.0.0.1:9/api", headers: { Authorization: "Bearer secret", name: "secret", "X-Key": "secret" }, timeout: 500, fetch: () => Promise.reject(new TypeError("refused")) } });
  await datum.synchronize("ada").catch(() => {});
  const { config, log } = await datum.report("ada");
  expect(config.remote).toEqual({ url: "http://127.0.0.1:9/api", headers: { Authorization: "(text)", name: "(text)", "X-Key": "(text)" }, timeout: 500, fetch: "(function)" });
  expect(JSON.stringify(log)).toContain("refused");
});

test("a closed instance still has a report, whose parts say why they are missing", async () => {
  const datum = await open();
  await expect(datum.report("")).rejects.toMatchObject({ code: "invalidArgument" });
  await datum.synchronize("ada");
  await datum.close();
  const { outbox, log } = await datum.report("ada");
  expect(outbox).toMatchObject({ error: { code: "closed" } });
  expect(log.at(-1)).toMatchObject({ message: "A cycle has ended.", fields: { isSuccess: true } });
});
