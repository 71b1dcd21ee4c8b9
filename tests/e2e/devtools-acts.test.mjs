// What a developer does with the panel's buttons, in the packed package and in every engine: decide, edit, retry, discard, compare, clear, report.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { devtoolsPages } from "./lib/devtools.mjs";
import { engines } from "./lib/webdriver.mjs";

for (const engine of engines()) {
  let pages;
  before(async () => (pages = await devtoolsPages(engine)));
  after(async () => pages?.stop());

  test(`${engine}: conflicts are decided by a side, field by field, and by an edit`, async () => {
    const seen = await pages.run(async ({ open, remote, show, shows, choose, press, all, until, detail, isDisabled }) => {
      const { datum, tasks } = await open({ entities: { tasks: { conflictResolver: "ask" } } });
      for (const id of ["mine", "theirs", "fields", "edited"]) await tasks.create({ id, title: "base", done: false, note: "base" });
      await datum.synchronize("ada");
      for (const id of ["mine", "theirs", "fields", "edited"]) {
        remote.patch("ada", "tasks", id, { title: "of the server", note: "of the server" });
        await tasks.patch(id, { title: "of the device", note: "of the device" });
      }
      await datum.synchronize("ada");
      await show("conflicts");
      await shows("4 conflicts");
      const decide = async (id, act) => {
        await choose(id);
        await until(id, () => detail().includes(`tasks ${id}`));
        await act();
        await until("fewer", async () => !(await datum.conflicts("ada")).some(({ entityId }) => entityId === id));
      };
      await decide("mine", () => press("Keep mine"));
      await decide("theirs", () => press("Take theirs"));
      await decide("fields", async () => {
        all('input[aria-label="note: theirs"]')[0].click();
        await until("the mark", () => all('input[aria-label="note: theirs"]')[0]?.checked);
        await press("Take the marked fields");
      });
      await decide("edited", async () => {
        await press("Edit …");
        const field = await until("the field", () => all("textarea")[0]);
        const type = (text) => {
          field.value = text;
          field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
        };
        const whole = JSON.parse(field.value);
        type("{ nonsense");
        await shows("This is not JSON");
        await until("no way to decide", () => isDisabled(all(".editor .button.primary")[0]));
        type(JSON.stringify({ ...whole, title: "of a person" }));
        await press("Decide");
      });
      await shows("No conflict waits");
      await datum.synchronize("ada");
      return Object.fromEntries(remote.all("ada", "tasks").map(({ id, title, note }) => [id, `${title}, ${note}`]));
    });
    assert.deepEqual(seen, {
      mine: "of the device, of the device",
      theirs: "of the server, of the server",
      fields: "of the device, of the server",
      edited: "of a person, of the device",
    });
  });

  test(`${engine}: an edit of a conflict is not stored over what the server has written since it began`, async () => {
    const seen = await pages.run(async ({ open, remote, press, all, rows, until, shows, isDisabled }) => {
      const { datum, tasks } = await open({ entities: { tasks: { conflictResolver: "ask" } } }, { panel: "conflicts" });
      await tasks.create({ id: "x", title: "base", rank: 1 });
      await datum.synchronize("ada");
      remote.patch("ada", "tasks", "x", { title: "theirs" });
      await tasks.patch("x", { title: "mine" });
      await datum.synchronize("ada");
      await until("the conflict", () => rows().length === 1);
      await press("Edit …");
      const field = await until("the field", () => all("textarea")[0]);
      const names = Object.keys(JSON.parse(field.value));
      const decide = all(".editor .button.primary")[0];
      remote.patch("ada", "tasks", "x", { rank: 99 });
      await datum.synchronize("ada");
      // At once: the panel may not have read the conflict again yet.
      decide.click();
      await shows("It has changed since you began");
      const kept = [(await datum.conflicts("ada")).length, isDisabled(all(".editor .bar .button")[0])];
      await press("Begin again");
      await until("the new values", () => all("textarea")[0].value.includes("99"));
      await press("Decide");
      await shows("No conflict waits");
      await datum.synchronize("ada");
      const { title, rank } = await tasks.read("x");
      return { names, kept, title, rank };
    });
    assert.deepEqual(seen, { names: ["title", "rank"], kept: [1, true], title: "mine", rank: 99 });
  });

  test(`${engine}: a conflict names its space, and the same id in two spaces has two histories`, async () => {
    const seen = await pages.run(async ({ open, remote, show, press, rows, all, until, detail, choose }) => {
      const { datum, tasks } = await open({ entities: { tasks: { conflictResolver: "ask" } } }, { panel: "conflicts" });
      const spaceId = await datum.spaces().create("team");
      await datum.synchronize("ada");
      await tasks.create({ id: "x", title: "base" });
      await tasks.create({ id: "x", title: "base" }, { spaceId });
      await datum.synchronize("ada");
      for (const options of [{}, { spaceId }]) {
        remote.patch("ada", "tasks", "x", { title: "theirs" }, options);
        await tasks.patch("x", { title: "mine" }, options);
      }
      await datum.synchronize("ada");
      await until("both", () => rows().length === 2);
      const texts = rows().map((row) => row.textContent.includes("x in "));
      // Of the personal space first, so that the other has no history.
      rows()[texts.indexOf(false)].click();
      await press("Take theirs");
      await until("the other", () => rows().length === 1 && detail().includes(spaceId));
      // The question which conflicts were decided has been answered by then.
      await new Promise((resolve) => setTimeout(resolve, 500));
      const isMixed = detail().includes("How earlier conflicts");
      await show("entities");
      await choose("x in ");
      await until("its fields", () => detail().includes("Version of the server"));
      await new Promise((resolve) => setTimeout(resolve, 500));
      const inSpace = detail().includes("How its conflicts were decided");
      rows().find((row) => !row.textContent.includes("x in ")).click();
      await until("its history", () => detail().includes("How its conflicts were decided"));
      return { texts: texts.sort(), isMixed, inSpace, types: [...all(".panel.entities select")[0].options].map(({ value }) => value) };
    });
    assert.deepEqual(seen, { texts: [false, true], isMixed: false, inSpace: false, types: ["tasks", "$space", "$member"] });
  });

  test(`${engine}: a dead letter is edited and retried, another is discarded after a question`, async () => {
    const seen = await pages.run(async ({ open, remote, show, shows, choose, press, all, until }) => {
      const { datum, tasks } = await open();
      remote.decide = ({ data }) => (data?.title?.length > 10 ? { status: "rejected", code: "tooLong", message: "at most 10" } : undefined);
      await tasks.create({ id: "mended", title: "far too long a title" });
      await tasks.create({ id: "dropped", title: "another one that is too long" });
      await datum.synchronize("ada");
      await show("deadLetters");
      await shows("2 dead letters");
      await choose("mended");
      await press("Edit and retry …");
      const field = await until("the field", () => all("textarea")[0]);
      field.value = '{ "title": "short" }';
      field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      await press("Retry with these fields");
      await until("one", () => all("#tab-deadLetters .badge")[0]?.textContent === "1");
      await shows("another one");
      await press("Discard …");
      await until("the question", () => all("dialog")[0]?.open);
      await press("Cancel");
      const kept = (await datum.deadLetters("ada")).length;
      await press("Discard …");
      await until("the question", () => all("dialog")[0]?.open);
      await press("Discard");
      await shows("No dead letters");
      return [kept, remote.all("ada", "tasks").map(({ id, title }) => `${id}: ${title}`)];
    });
    assert.deepEqual(seen, [1, ["mended: short"]]);
  });

  test(`${engine}: a patch that is edited and retried undoes nothing of what others have written since`, async () => {
    const seen = await pages.run(async ({ open, remote, show, shows, choose, press, all, until }) => {
      const { datum, tasks } = await open();
      await tasks.create({ id: "row", title: "ok", done: false });
      await datum.synchronize("ada");
      remote.decide = ({ data }) => (data?.title?.length > 10 ? { status: "rejected", code: "tooLong", message: "at most 10" } : undefined);
      await tasks.patch("row", { title: "far too long a title" });
      await datum.synchronize("ada");
      remote.patch("ada", "tasks", "row", { done: true });
      await datum.synchronize("ada");
      await show("deadLetters");
      await shows("1 dead letter");
      await choose("row");
      await press("Edit and retry …");
      const field = await until("the field", () => all("textarea")[0]);
      const offered = JSON.parse(field.value);
      field.value = JSON.stringify({ ...offered, title: "short" });
      field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      await press("Retry with these fields");
      await shows("No dead letters");
      await until("the write", () => remote.all("ada", "tasks")[0].title === "short");
      return [offered, remote.all("ada", "tasks")[0].done];
    });
    assert.deepEqual(seen, [{ title: "far too long a title" }, true]);
  });

  test(`${engine}: a write is discarded after a question, with what depends on it, and a retry brings both back`, async () => {
    const seen = await pages.run(async ({ open, remote, show, shows, choose, press, all, until, detail }) => {
      const { datum, tasks } = await open({ entities: { tasks: { relations: { parent: { belongsTo: "tasks", foreignKey: "parent" } } } } });
      await tasks.create({ id: "row", title: "before" });
      await datum.synchronize("ada");
      await tasks.patch("row", { title: "after" });
      await tasks.create({ id: "draft", title: "x" });
      await tasks.create({ id: "child", parent: "draft" });
      await show("outbox");
      const discard = async (id) => {
        await choose(id);
        await until(id, () => detail().includes(`Entity${id}`));
        await press("Discard …");
        await until("the question", () => all("dialog")[0]?.open);
        return all("dialog p")[0].textContent;
      };
      const question = await discard("row");
      await press("Cancel");
      await until("no question", () => !all("dialog")[0]?.open);
      const kept = (await datum.pendingOperations("ada")).length;
      await discard("row");
      await press("Discard");
      await shows("The write was discarded: a retry in Dead letters brings it back.");
      const shown = (await tasks.read("row")).title;
      await discard("draft");
      await press("Discard");
      await shows("The write was discarded, with 1 more");
      await shows("Nothing waits");
      const without = [(await tasks.readAll()).length, (await datum.deadLetters("ada")).map(({ code }) => code)];
      await show("deadLetters");
      await choose("draft");
      await until("the words", () => detail().includes("It was discarded on this device.") && detail().includes("Entitydraft"));
      await press("Retry with 1 behind it");
      await until("both", async () => remote.all("ada", "tasks").length === 3);
      await choose("row");
      await until("the last", () => detail().includes("Entityrow"));
      await press("Retry");
      await shows("No dead letters");
      return { question, kept, shown, without, titles: Object.fromEntries(remote.all("ada", "tasks").map(({ id, title }) => [id, title ?? null])) };
    });
    assert.match(seen.question, /^The patch of tasks row will not be sent, and the app shows what the server had\..*a retry brings them back\.$/);
    assert.deepEqual({ ...seen, question: 0 }, {
      question: 0, kept: 3, shown: "before", without: [1, ["discarded", "discarded", "blocked"]], titles: { row: "after", draft: "x", child: null },
    });
  });

  test(`${engine}: what is said of one user is gone with another, and a mount's user is that mount's`, async () => {
    const seen = await pages.run(async ({ open, Datum, remote, mountDevtools, press, shows, all, until, text, show, choose }) => {
      const { datum, tasks } = await open({}, { panel: "outbox" });
      await tasks.create({ id: "secret-of-ada" });
      await choose("secret-of-ada");
      await press("Discard …");
      await until("the question", () => all("dialog")[0]?.open);
      await press("Discard");
      await shows("The write was discarded");
      let release;
      const held = new Promise((resolve) => (release = resolve));
      const { pull } = remote;
      remote.pull = async (...given) => (await held, pull.apply(remote, given));
      const who = (name) => until(name, () => all(".who")[0]?.textContent === name);
      const notice = () => all(".notice span")[0]?.textContent;
      await datum.switchUser({ newUserId: "ben", strategy: "keepLocal" });
      await who("ben");
      const after = notice();
      await show("status");
      await press("Synchronize");
      await until("the request", () => text().includes("Pulling"));
      const second = await Datum.initialize({ name: "second", entities: { tasks: {} }, remote, initialUserId: "cleo", flushOnLeave: false });
      mountDevtools(datum, { userId: "ada" });
      await who("ada");
      release();
      await until("its end", () => datum.statusForUser("ben").current.status === "completed");
      await new Promise((resolve) => setTimeout(resolve, 200));
      const late = notice();
      mountDevtools(second);
      await who("cleo");
      return { after, late };
    });
    assert.deepEqual(seen, { after: undefined, late: undefined });
  });

  test(`${engine}: characters that turn the text around them turn nothing in a question, and are copied as they are`, async () => {
    const seen = await pages.run(async ({ open, choose, press, all, until, show, one }) => {
      const copied = [];
      Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: async (it) => void copied.push(it) } });
      const { tasks } = await open({}, { panel: "outbox" });
      await tasks.create({ id: "a\u202eb", title: "\u2066x" });
      await choose("a");
      await press("Discard …");
      const question = (await until("the question", () => all("dialog[open] p")[0])).textContent;
      await press("Cancel");
      await show("entities");
      await choose("a");
      const fields = (await one(".detail pre")).textContent;
      await press("Copy");
      await until("the copy", () => copied.length === 1);
      return { question: question.slice(0, 28), fields: fields.includes('"\\u2066x"'), copied: JSON.parse(copied[0]).id === "a\u202eb" };
    });
    assert.deepEqual(seen, { question: "The create of tasks a\\u202eb", fields: true, copied: true });
  });

  test(`${engine}: the storage is shown by type with its log, and the focus is not lost with a button`, async () => {
    const seen = await pages.run(async ({ open, show, shows, all, one, press, choose, until, text, element }) => {
      const { datum, tasks } = await open({ entities: { tasks: {}, notes: {} } });
      await tasks.createMany(Array.from({ length: 30 }, (_, n) => ({ id: `task-${n}`, title: "x".repeat(500) })));
      await datum.synchronize("ada");
      await tasks.delete("task-0");
      await datum.synchronize("ada");
      await show("storage");
      await shows("The next checkpoint compacts it.");
      const [row] = all("table tbody tr");
      const cells = [...row.children].map((cell) => cell.textContent);
      const { entities, log } = await datum.storageSize("ada");
      await tasks.create({ id: "waits" });
      await show("outbox");
      await choose("waits");
      const button = await until("the button", () => all(".detail button").find((it) => it.textContent === "Discard …"));
      button.focus();
      button.click();
      await until("the question", () => all("dialog")[0]?.open);
      await press("Discard");
      await shows("Nothing waits");
      await until("a focus", () => element().shadowRoot.activeElement?.id === "tab-outbox");
      return { cells, tasks: entities.tasks, records: log.records > 0, shown: text().includes(String(log.records)) };
    });
    assert.deepEqual([seen.cells.slice(0, 3), seen.tasks.rows, seen.tasks.tombstones, seen.records], [["tasks", "29", "1"], 29, 1, true]);
  });

  test(`${engine}: metadata is compared, fresh data is pulled, and clearing asks first`, async () => {
    const seen = await pages.run(async ({ open, remote, show, shows, press, all, until, text }) => {
      const { datum, tasks } = await open();
      await tasks.create({ id: "1", title: "milk" });
      await datum.synchronize("ada");
      await show("metadata");
      await shows("not asked");
      await press("Compare with the server");
      await shows("In sync, as of");
      await press("Fresh data …");
      const { pull } = remote;
      const cursors = [];
      remote.pull = (request, ...more) => (cursors.push(request.cursor), pull.call(remote, request, ...more));
      await press("Pull everything");
      await shows("0 operations pushed, 0 rows pulled");
      await press("Clear this device's …");
      await until("the question", () => all("dialog")[0]?.open);
      all("dialog")[0].close();
      const kept = (await datum.getSyncMetadata("ada"))?.lastSyncTime !== undefined;
      await press("Clear this device's …");
      await press("Clear");
      await shows("The metadata was cleared");
      return [kept, cursors, (await datum.getSyncMetadata("ada"))?.lastSyncTime];
    });
    assert.deepEqual(seen, [true, [null], undefined]);
  });

  test(`${engine}: the status pauses and resumes, the log is filtered, and the report can be had`, async () => {
    const seen = await pages.run(async ({ open, show, shows, press, all, until, rows, text }) => {
      const { datum, tasks } = await open();
      await tasks.create({ id: "1", title: "milk" });
      await show("status");
      await press("Synchronize");
      await shows("1 operation pushed");
      await until("the cycle", () => rows().length === 1 && rows()[0].textContent.includes("done"));
      await press("Pause");
      await shows("Sync is paused");
      await press("Resume");
      await until("no pause", () => !text().includes("Sync is paused."));
      await show("log");
      await until("entries", () => rows().length >= 2);
      const field = all(".panel.log .search")[0];
      field.value = "has ended";
      field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      await until("one entry", () => rows().length === 1);
      const copied = [];
      Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: async (it) => void copied.push(it) } });
      await press("Copy");
      await shows("Copied.");
      const asked = () => until("the question", () => all("dialog")[0]?.open);
      await press("Report …");
      await asked();
      await press("Copy the report");
      await shows("on the clipboard");
      const names = [];
      HTMLAnchorElement.prototype.click = function () {
        names.push(this.download);
      };
      await press("Report …");
      await asked();
      await press("Download the report");
      await shows("The download has begun");
      return [copied[0].includes("A cycle has ended"), JSON.parse(copied[1]).userId, names[0].replace(/\d/g, "0")];
    });
    assert.deepEqual(seen, [true, "ada", "datum-report-0000-00-00T00-00-00-000Z.json"]);
  });
}
