// The panel of `datum-sync/devtools`, in the packed package: what a developer sees and does with it, in every engine.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { devtoolsPages } from "./lib/devtools.mjs";
import { engines } from "./lib/webdriver.mjs";

for (const engine of engines()) {
  let pages;
  before(async () => (pages = await devtoolsPages(engine)));
  after(async () => pages?.stop());

  test(`${engine}: every panel is reached by keys, says something, and the panel opens and closes by its shortcut`, async () => {
    const seen = await pages.run(async ({ open, element, panel, all, key, toggle, until, text }) => {
      const { tasks } = await open({}, { open: false });
      await tasks.create({ title: "milk" });
      const launcher = await until("the launcher", () => all(".launcher")[0]);
      launcher.focus();
      toggle();
      await until("the panel", panel);
      const panels = [];
      for (let n = 0; n < 9; n++) {
        const name = element().panel;
        await until(name, () => all(`.panel.${name}`)[0]?.textContent.length > 20);
        const [tab] = all('[role="tab"][aria-selected="true"]');
        panels.push([tab.textContent, element().shadowRoot.activeElement === tab, all('[role="tab"][tabindex="0"]').length]);
        key("ArrowRight");
        await until("the next panel", () => element().panel !== name);
        await until("its tab", () => all('[role="tab"][aria-selected="true"]')[0]?.id === `tab-${element().panel}`);
      }
      const first = element().panel;
      key("Escape");
      await until("no panel", () => !panel());
      return { panels, first, focus: element().shadowRoot.activeElement?.className, text: text() };
    });
    assert.deepEqual(seen.panels, ["Status", "Outbox1", "Conflicts", "Dead letters", "Entities", "Metadata", "Storage", "Tabs", "Log"].map((title) => [title, true, 1]));
    assert.equal(seen.first, "status", "after the last comes the first");
    assert.equal(seen.focus, "launcher");
  });

  test(`${engine}: hostile text in every field stays text`, async () => {
    const seen = await pages.run(async ({ open, remote, show, one, all, choose, until, rows, text }) => {
      const evil = `<img src=x onerror="window.hit = true"><script>window.hit = true</script>`;
      const { datum, tasks } = await open({ entities: { tasks: { conflictResolver: "ask" }, [`<b>${evil.slice(0, 20)}`]: {} } });
      remote.decide = ({ data }) => (data?.refuse ? { status: "rejected", code: "<i>no</i>", message: evil } : undefined);
      await tasks.create({ id: evil, title: evil, [evil]: evil });
      await datum.synchronize("ada");
      remote.patch("ada", "tasks", evil, { title: `${evil} theirs` });
      await tasks.patch(evil, { title: `${evil} mine` });
      await tasks.create({ id: "refused", title: evil, refuse: true });
      await datum.synchronize("ada");
      await tasks.create({ id: "waits", title: evil });
      const found = {};
      for (const name of ["status", "outbox", "conflicts", "deadLetters", "entities", "metadata", "storage", "tabs", "log"]) {
        await show(name);
        if (name === "outbox") await choose("waits");
        if (name === "entities") {
          await until("rows", () => rows().length === 2);
          await choose("waits");
          await until("its fields", () => all(".detail pre").length > 0);
        }
        if (name === "conflicts" || name === "deadLetters") await until("the first", () => all(".detail h3").length > 0);
        found[name] = [text().includes("<img"), all("img, script, b, i").length];
      }
      return { found, hit: window.hit === true };
    });
    assert.equal(seen.hit, false);
    for (const [name, [, elements]] of Object.entries(seen.found)) assert.equal(elements, 0, `${name} has made elements of text`);
    for (const name of ["conflicts", "deadLetters", "entities", "log"]) assert.equal(seen.found[name][0], true, `${name} shows the text`);
  });

  test(`${engine}: of 10,000 operations only those in view are elements, and the last one is reached`, async () => {
    const seen = await pages.run(async ({ open, show, one, rows, key, until, all, detail }) => {
      const { tasks } = await open();
      await tasks.createMany(Array.from({ length: 10_000 }, (_, n) => ({ id: `task-${String(n).padStart(5, "0")}`, title: `task ${n}` })));
      await show("outbox");
      await until("rows", () => rows().length > 0);
      const first = rows().length;
      (await one(".rows")).focus();
      key("End");
      await until("the last", () => detail().includes("task-09999"));
      return { first, last: rows().length, size: all(".rows .row")[0].getAttribute("aria-setsize"), chosen: all('.row[aria-selected="true"]').length };
    });
    assert.ok(seen.first < 60 && seen.last < 60, JSON.stringify(seen));
    assert.deepEqual([seen.size, seen.chosen], ["10000", 1]);
  });

  test(`${engine}: while 10,000 rows are pulled, the panel draws once a frame at most, and reads rarely`, async () => {
    const seen = await pages.run(async ({ open, remote, show, shows, hasFrames }) => {
      const { datum } = await open();
      for (let n = 0; n < 10_000; n++) remote.put("ada", "tasks", { id: `task-${n}`, title: `task ${n}` });
      const counts = { reads: 0, draws: 0, frames: 0 };
      const { pendingOperations } = Object.getPrototypeOf(datum);
      datum.pendingOperations = (...given) => (counts.reads++, pendingOperations.apply(datum, given));
      await show("outbox");
      await shows("Nothing waits");
      const { requestAnimationFrame: frame } = window;
      window.requestAnimationFrame = (work) => (counts.draws++, frame.call(window, work));
      let isOver = false;
      const count = () => {
        counts.frames++;
        if (!isOver) frame.call(window, count);
      };
      frame.call(window, count);
      const began = performance.now();
      counts.reads = 0;
      await datum.synchronize("ada", { overrideBatchSize: 200 });
      const ms = performance.now() - began;
      isOver = true;
      window.requestAnimationFrame = frame;
      return { ...counts, ms, hasFrames, pulled: (await datum.getLastSyncResult("ada")).pulledCount };
    });
    assert.equal(seen.pulled, 10_000);
    assert.ok(seen.draws <= seen.frames + 1 || !seen.hasFrames, JSON.stringify(seen));
    assert.ok(seen.draws <= seen.ms / 100 + 3, JSON.stringify(seen));
    assert.ok(seen.reads <= seen.ms / 250 + 1, JSON.stringify(seen));
  });

  test(`${engine}: entities are read by windows, filtered by text and by a condition, and follow every change`, async () => {
    const seen = await pages.run(async ({ open, show, one, rows, key, until, choose, detail, text }) => {
      const { datum, tasks } = await open();
      await tasks.createMany(Array.from({ length: 3_000 }, (_, n) => ({ id: `task-${String(n).padStart(4, "0")}`, title: n === 77 ? "Find Me" : "another", rank: n })));
      await show("entities");
      await until("the count", () => text().includes("3,000 entities"));
      (await one(".rows")).focus();
      key("End");
      await until("the last", () => rows().some((row) => row.textContent.includes("task-2999")));
      const field = await one(".panel.entities .search");
      const type = (words) => {
        field.value = words;
        field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      };
      type("find me");
      await until("one entity", () => text().includes("1 entity") && rows().length === 1);
      await choose("task-0077");
      await until("its title", () => detail().includes("Find Me"));
      await tasks.patch("task-0077", { title: "Found you" });
      await until("the change", () => detail().includes("Found you") && detail().includes("written here"));
      type('{ "field": "rank", "lessThan": 10 }');
      await until("ten", () => text().includes("10 entities"));
      type('{ "field": "rank", "lessThan" }');
      await until("what is wrong", () => text().includes("This is not JSON"));
      type('{ "field": "rank", "nonsense": 1 }');
      await until("what is wrong with it", () => text().includes("invalidArgument"));
      type('{ "where": { "field": "rank", "lessThan": 3 }, "orderBy": [{ "field": "rank", "descending": true }] }');
      await until("three", () => text().includes("3 entities") && rows().length === 3 && rows()[0].textContent.includes("task-0002"));
      return rows().map((row) => row.textContent.match(/task-\d{4}/)?.[0]);
    });
    assert.deepEqual(seen, ["task-0002", "task-0001", "task-0000"]);
  });

  test(`${engine}: among 10,000 entities the keys go on from the chosen one, wherever the list has been scrolled to`, async () => {
    const seen = await pages.run(async ({ open, one, rows, key, until, detail, text }) => {
      const { tasks } = await open({}, { panel: "entities" });
      const name = (n) => `task-${String(n).padStart(5, "0")}`;
      await tasks.createMany(Array.from({ length: 10_000 }, (_, n) => ({ id: name(n) })));
      await until("the count", () => text().includes("10,000 entities"));
      const box = await one(".rows");
      box.focus();
      // The row and what is shown of it are the same.
      const at = (n) => until(name(n), () => detail().includes(`tasks ${name(n)}`) && rows().some((row) => row.dataset.index === String(n) && row.getAttribute("aria-selected") === "true"));
      key("ArrowDown");
      await at(0);
      key("End");
      await at(9_999);
      key("ArrowUp");
      await at(9_998);
      key("Home");
      await at(0);
      box.scrollTop = 26 * 5_000;
      await until("other rows", () => rows().some((row) => row.dataset.index === "5000" && row.textContent.includes(name(5_000))));
      key("ArrowDown");
      await at(1);
      // Faster than rows are read.
      for (let n = 0; n < 30; n++) key("PageDown");
      await at(1 + 30 * Math.max(1, Math.floor(box.clientHeight / 26) - 1));
      return rows().filter((row) => row.getAttribute("aria-selected") === "true").length;
    });
    assert.equal(seen, 1);
  });

  test(`${engine}: of a pull of very many requests, the one that failed and the phases are shown`, async () => {
    const seen = await pages.run(async ({ open, remote, rows, until, all, detail }) => {
      for (let n = 0; n < 3_000; n++) remote.put("ada", "tasks", { id: `task-${n}` });
      const { datum } = await open({}, { panel: "status" });
      let requests = 0;
      const { pull } = remote;
      remote.pull = async (request, ...more) => {
        if (++requests > 250) throw new Error("the last one");
        return pull.call(remote, { ...request, limit: 10 }, ...more);
      };
      // A cycle that ran before the panel had loaded what listens is known by its events alone, without steps.
      await datum.report("ada");
      await datum.synchronize("ada").catch(() => {});
      await until("the cycle", () => rows()[0]?.textContent.includes("failed"));
      rows()[0].click();
      await until("its steps", () => all(".step").length > 0);
      return { phases: all(".step.phase").length > 0, failed: all(".step.request.bad").length, says: /and [\d,]+ more steps from the middle/.test(detail()), count: all(".step").length };
    });
    assert.deepEqual(seen, { phases: true, failed: 1, says: true, count: 200 });
  });

  test(`${engine}: an entity of nearly 1 MiB is shown cut, and whole on demand`, async () => {
    const [cut, whole] = await pages.run(async ({ open, show, choose, all, press, until }) => {
      const { tasks } = await open();
      await tasks.create({ id: "large", title: "x".repeat(1_000_000) });
      await show("entities");
      await choose("large");
      const length = () => all(".detail pre")[0]?.textContent.length ?? 0;
      await until("its fields", () => length() > 0);
      const before = length();
      await press("Show all (977 KiB)");
      await until("all of it", () => length() > 1_000_000);
      return [before, length()];
    });
    assert.ok(cut < 5_000 && whole > 1_000_000, `${cut} ${whole}`);
  });

  test(`${engine}: it follows a switch of the user, nobody, and somebody again`, async () => {
    const seen = await pages.run(async ({ open, show, shows, all }) => {
      const { datum, tasks } = await open();
      await tasks.create({ id: "ada-1", title: "of ada" });
      await show("outbox");
      await shows("1 operation");
      await datum.switchUser({ newUserId: "ben", strategy: "keepLocal" });
      await shows("Nothing waits");
      const ben = all(".who")[0].textContent;
      await datum.logout("ben", { flush: 0 });
      await shows("Nobody is signed in");
      await datum.switchUser({ newUserId: "ada", strategy: "keepLocal" });
      await shows("1 operation");
      return [ben, all(".who")[0].textContent];
    });
    assert.deepEqual(seen, ["ben", "ada"]);
  });

  test(`${engine}: a closed instance says so, one that comes later is shown, and two can be chosen from`, async () => {
    const seen = await pages.run(async ({ open, Datum, remote, defineDevtools, mountDevtools, element, shows, show, all, until, press }) => {
      defineDevtools();
      const bare = document.createElement("datum-devtools");
      bare.open = true;
      document.body.append(bare);
      await until("no instance", () => bare.shadowRoot.textContent.includes("No instance yet"));
      const { datum, tasks } = await open({ mount: false });
      bare.datum = datum;
      await until("the instance", () => bare.shadowRoot.textContent.includes("ada"));
      bare.remove();
      const mounted = mountDevtools(datum, { open: true, name: "one", panel: "outbox" });
      await tasks.create({ id: "1", title: "milk" });
      await shows("1 operation");
      const second = await Datum.initialize({ name: "second", entities: { notes: {} }, remote, initialUserId: "ben", flushOnLeave: false });
      const other = mountDevtools(second, { name: "two" });
      await shows("Nothing waits");
      const elements = document.querySelectorAll("datum-devtools").length;
      const select = all('select[aria-label="Instance"]')[0];
      const names = [...select.options].map((option) => option.textContent);
      select.value = "0";
      select.dispatchEvent(new Event("change", { bubbles: true }));
      await shows("1 operation");
      await datum.close();
      await shows("This instance is closed");
      mounted.unmount();
      await shows("Nothing waits");
      other.unmount();
      return { elements, names, left: document.querySelectorAll("datum-devtools").length, same: other.element === mounted.element };
    });
    assert.deepEqual(seen, { elements: 1, names: ["one", "two"], left: 0, same: true });
  });

  test(`${engine}: it remembers its size, its side and its panel, and a stored mess is ignored`, async () => {
    const first = await pages.tab();
    const size = () => ({ dock: document.querySelector("datum-devtools").dock, panel: document.querySelector("datum-devtools").panel });
    await pages.evaluate(first.page, async ({ open, show, one, key, press, until, element, all }) => {
      await open();
      await show("storage");
      all('[aria-label="Dock at the right"]')[0].click();
      await until("the right", () => all(".dock.right").length === 1);
      (await one(".grip")).focus();
      key("ArrowLeft");
      await until("larger", () => all(".grip")[0].getAttribute("aria-valuenow") === "584");
    });
    await first.page.reload();
    const again = await pages.evaluate(first.page, async ({ open, until, element, all }) => {
      const { datum, mounted } = await open({ mount: false });
      document.body.append(Object.assign(document.createElement("datum-devtools"), { datum }));
      await until("the panel", () => all(".panel.storage").length === 1);
      const stored = [element().open, element().dock, element().panel, all(".grip")[0].getAttribute("aria-valuenow")];
      element().remove();
      localStorage.setItem("datum-devtools", '{ "isOpen": true, "dock": 7, "width": "wide", "height": 1e99, "panel": "<b>" ');
      document.body.append(Object.assign(document.createElement("datum-devtools"), { datum, open: true }));
      await until("the usual", () => all(".panel.status").length === 1);
      return [...stored, element().dock];
    });
    assert.deepEqual(again, [true, "right", "storage", "584", "bottom"]);
    await first.context.close();
  });

  test(`${engine}: idle, it asks for no frame and no timer; closed or removed, it follows nothing`, async () => {
    const seen = await pages.run(async ({ open, show, until, element, panel, text }) => {
      const { datum, tasks } = await open();
      await tasks.create({ id: "1", title: "milk" });
      await datum.synchronize("ada");
      const counts = { frames: 0, timers: 0, loops: 0 };
      const settled = [];
      for (const name of ["status", "outbox", "conflicts", "deadLetters", "entities", "metadata", "storage", "tabs", "log"]) {
        await show(name);
        await until(`${name} to read`, () => !/Reading|Asking|Measuring/.test(text()));
        settled.push(name);
      }
      const { requestAnimationFrame: frame, setTimeout: timer } = window;
      // The rests after the last readings end within a second.
      await new Promise((resolve) => timer(resolve, 1_500));
      window.requestAnimationFrame = (work) => (counts.frames++, frame.call(window, work));
      window.setTimeout = (...given) => (counts.timers++, timer.call(window, ...given));
      await new Promise((resolve) => timer.call(window, resolve, 1_000));
      Object.assign(window, { requestAnimationFrame: frame, setTimeout: timer });
      // The loops that are left, of the instance and of its managers.
      let left = 0;
      const looped = (feed) =>
        Object.create(feed, {
          current: { get: () => feed.current },
          [Symbol.asyncIterator]: {
            value() {
              const loop = feed[Symbol.asyncIterator]();
              left++;
              return { next: () => loop.next(), return: (value) => (left--, loop.return?.(value)) };
            },
          },
        });
      const countedOf = (it) =>
        new Proxy(it, {
          get(target, name) {
            const value = Reflect.get(target, name, target);
            if (typeof value !== "function") return value;
            return (...given) => {
              const answer = value.apply(target, given);
              if (name === "manager") return countedOf(answer);
              return answer?.[Symbol.asyncIterator] === undefined ? answer : looped(answer);
            };
          },
        });
      const counted = countedOf(datum);
      element().datum = counted;
      await show("entities");
      // Those of the panel as a whole are four.
      await until("its feeds", () => left > 5);
      const open_ = left;
      await show("metadata");
      await until("fewer", () => left < open_);
      element().open = false;
      await until("none", () => left === 0);
      element().open = true;
      await until("some", () => left > 0);
      element().remove();
      return { ...counts, left, open_ };
    });
    assert.equal(seen.frames, 0);
    assert.equal(seen.timers, 0);
    assert.equal(seen.left, 0, JSON.stringify(seen));
  });
}
