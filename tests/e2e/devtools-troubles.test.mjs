// Twelve troubles: with the panel alone, one can tell why a write does not go out, and mend it, in every engine.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { devtoolsPages } from "./lib/devtools.mjs";
import { engines } from "./lib/webdriver.mjs";

/** Automatic cycles that begin with a write, and nothing that begins by itself. */
const AUTOMATIC = { autoStartSync: true, syncAfterWrite: 1, coldStart: { strategy: "disabled" }, autoSyncInterval: 86_400_000 };

/**
 * Each trouble: what a page does until the write `x` waits, what the panel says of it, and the buttons that mend it (`#` names a panel to open), after `mend`
 * has taken the cause away, where that is not the panel's business.
 */
const TROUBLES = {
  "no network": {
    config: AUTOMATIC,
    make: async ({ remote, tasks, state }) => {
      Object.defineProperty(navigator, "onLine", { configurable: true, get: () => state.online ?? false });
      window.dispatchEvent(new Event("offline"));
      state.end = remote.fail("offline");
      await tasks.create({ id: "x" });
    },
    says: "The browser reports no network",
    mend: ({ state }) => state.end(),
    press: ["Try anyway"],
  },
  "a sign-in that has run out": {
    config: AUTOMATIC,
    make: async ({ remote, tasks, state }) => {
      state.end = remote.fail({ status: 401 });
      await tasks.create({ id: "x" });
    },
    says: "unauthorized",
    mend: ({ state }) => state.end(),
    press: ["Resume sync"],
  },
  "a proxy that refuses": {
    config: { ...AUTOMATIC, retry: { maxAttempts: 1, initial: 60_000, max: 60_000, jitter: "none" } },
    make: async ({ DatumError, remote, tasks, state }) => {
      state.end = remote.fail(new DatumError("network", "Something else answered in the remote's place: Access denied", { status: 403 }));
      await tasks.create({ id: "x" });
    },
    says: "HTTP 403",
    mend: ({ state }) => state.end(),
    press: ["Send now"],
  },
  "a parent that waits itself": {
    config: { defaultConflictResolver: "ask" },
    make: async ({ datum, remote, tasks }) => {
      await tasks.create({ id: "parent", title: "base" });
      await datum.synchronize("ada");
      remote.patch("ada", "tasks", "parent", { title: "theirs" });
      await tasks.patch("parent", { title: "mine" });
      await datum.synchronize("ada");
      await tasks.create({ id: "x" }, { dependsOn: [{ entity: "tasks", id: "parent" }] });
    },
    says: "It is sent after the patch of tasks",
    press: ["Show what comes first", "Take theirs", "#outbox", "Send now"],
  },
  "a conflict that nobody has decided": {
    config: { defaultConflictResolver: "ask" },
    make: async ({ datum, remote, tasks }) => {
      await tasks.create({ id: "x", title: "base" });
      await datum.synchronize("ada");
      remote.patch("ada", "tasks", "x", { title: "theirs" });
      await tasks.patch("x", { title: "mine" });
      await datum.synchronize("ada");
    },
    says: "Both sides have changed its entity",
    press: ["Show what comes first", "Take theirs"],
  },
  "a dead letter that it depends on": {
    config: { entities: { tasks: { onRejected: "keepLocal" } } },
    make: async ({ datum, remote, tasks }) => {
      remote.decide = ({ id }) => (id === "parent" ? { status: "rejected", code: "tooLong", message: "at most 10" } : undefined);
      await tasks.create({ id: "parent" });
      await datum.synchronize("ada");
      await tasks.create({ id: "x" }, { dependsOn: [{ entity: "tasks", id: "parent" }] });
    },
    says: "It depends on an operation that is a dead letter",
    mend: ({ remote }) => (remote.decide = undefined),
    press: ["Show what comes first", "Retry"],
  },
  "a pause": {
    make: async ({ datum, tasks }) => {
      await datum.pauseSync("ada");
      await tasks.create({ id: "x" });
    },
    says: "Sync is paused",
    press: ["Resume sync"],
  },
  "another server in its place": {
    make: async ({ datum, remote, tasks }) => {
      await datum.synchronize("ada");
      remote.serverId = "another";
      await tasks.create({ id: "x" });
      await datum.synchronize("ada").catch(() => {});
    },
    says: "Another server answers",
    press: ["Offer everything to this server …", "Offer everything"],
  },
  "a storage without room": {
    make: async ({ datum, remote, tasks, state }) => {
      await tasks.create({ id: "x" });
      remote.put("ada", "tasks", { id: "other" });
      const { add } = IDBObjectStore.prototype;
      state.end = () => (IDBObjectStore.prototype.add = add);
      IDBObjectStore.prototype.add = function () {
        throw new DOMException("full", "QuotaExceededError");
      };
      await datum.synchronize("ada").catch(() => {});
    },
    says: "The storage refused",
    mend: ({ state }) => state.end(),
    press: ["Send now"],
  },
  "a clock that is wrong": {
    config: AUTOMATIC,
    make: async ({ datum, remote, tasks, state }) => {
      const { pull } = remote;
      remote.pull = async (...given) => ({ ...(await pull.apply(remote, given)), serverTime: new Date(Date.now() + 3_600_000).toISOString() });
      await datum.synchronize("ada");
      state.end = remote.fail({ status: 401 });
      await tasks.create({ id: "x" });
    },
    says: "60 minutes behind the server's",
    mend: ({ state }) => state.end(),
    press: ["Resume sync"],
  },
  "a server that asks for time": {
    config: AUTOMATIC,
    make: async ({ remote, tasks, state }) => {
      state.end = remote.fail({ status: 503, retryAfterMs: 3_600_000 });
      await tasks.create({ id: "x" });
    },
    says: "The remote has asked for this delay",
    mend: ({ state }) => state.end(),
    press: ["Send now"],
  },
};

for (const engine of engines()) {
  let pages;
  before(async () => (pages = await devtoolsPages(engine)));
  after(async () => pages?.stop());

  for (const [name, { config, make, says, mend, press }] of Object.entries(TROUBLES)) {
    test(`${engine}: ${name}: the panel says so, and mends it`, async () => {
      const given = { config: config ?? {}, make: String(make), mend: String(mend ?? (() => {})), says, press };
      const left = await pages.run(async (kit, { config, make, mend, says, press }) => {
        const { open, show, choose, detail, until, press: click, remote, DatumError } = kit;
        const { datum, tasks } = await open(config);
        const state = { datum, tasks, remote, DatumError, state: {} };
        await (0, eval)(`(${make})`)(state);
        await show("outbox");
        await choose("x");
        await until(says, () => detail().includes(says));
        (0, eval)(`(${mend})`)(state);
        for (const words of press) await (words === "#outbox" ? show("outbox") : click(words));
        await until("an empty outbox", async () => (await datum.pendingCount("ada")) === 0);
        return remote.all("ada", "tasks").map(({ id }) => id).includes("x");
      }, given);
      assert.equal(left, true);
    });
  }

  test(`${engine}: another tab that leads: the panel says so, and sends from here`, async () => {
    const config = { ...AUTOMATIC, syncAfterWrite: false };
    const first = await pages.tab();
    const second = await pages.tab(first);
    try {
      // Who leads depends on who is looked at, and a driver brings each tab to the front that it addresses.
      const start = async ({ open, remote, appear }, { config, state }) => {
        appear(state);
        const { datum, tasks } = await open(config);
        Object.assign(window, { datum, tasks, remote, feed: datum.statusForUser("ada") });
      };
      await pages.evaluate(first.page, start, { config, state: "visible" });
      await pages.evaluate(first.page, ({ until }) => until("the lead", () => window.feed.current.isLeader).then(() => {}));
      await pages.evaluate(second.page, start, { config, state: "hidden" });
      const sent = await pages.evaluate(second.page, async ({ show, choose, until, detail, press, text }) => {
        await window.tasks.create({ id: "x" });
        await show("tabs");
        await until("who leads", () => text().includes("This tab does not lead"));
        await show("outbox");
        await choose("x");
        // Until the other tab has announced its plan, this one knows only of itself.
        await until("why", () => /Another tab runs the automatic cycles|This tab is hidden, and runs no cycles/.test(detail()));
        await press("Send now");
        await until("an empty outbox", async () => (await window.datum.pendingCount("ada")) === 0);
        return window.remote.all("ada", "tasks").length;
      });
      assert.equal(sent, 1);
    } finally {
      await first.context.close();
    }
  });
}
