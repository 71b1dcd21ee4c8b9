// The panel in pages that make it hard: strict policies, styles for everything, right to left, narrow, another tab, an element that comes and goes.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { devtoolsPages } from "./lib/devtools.mjs";
import { engines } from "./lib/webdriver.mjs";

const PANELS = ["status", "outbox", "conflicts", "deadLetters", "entities", "metadata", "storage", "tabs", "log"];

for (const engine of engines()) {
  let pages;
  before(async () => (pages = await devtoolsPages(engine)));
  after(async () => pages?.stop());

  test(`${engine}: a strict content security policy and Trusted Types refuse nothing of it`, async () => {
    const seen = await pages.run(async ({ open, show, shows, press, all, until }, panels) => {
      const policy = document.createElement("meta");
      policy.httpEquiv = "Content-Security-Policy";
      policy.content = "style-src 'self'; img-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
      document.head.append(policy);
      const refused = [];
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, sample }) => refused.push(`${violatedDirective} ${sample}`));
      // The policy holds: an inline style of the page is refused.
      const probe = document.createElement("p");
      probe.setAttribute("style", "width: 7px");
      document.body.append(probe);
      await until("the policy", () => refused.length > 0);
      refused.length = 0;
      const { datum, tasks } = await open();
      await tasks.create({ id: "1", title: "milk" });
      await shows("1 write waits");
      for (const panel of panels) await show(panel);
      await show("status");
      // A cycle that ran before the panel had loaded what listens is known by its events alone, without steps.
      await until("a cycle with its steps", async () => {
        await datum.synchronize("ada");
        await until("a cycle", () => all(".rows .row").length > 0);
        all(".rows .row")[0].click();
        const end = performance.now() + 1_000;
        while (performance.now() < end && all(".step .part").length === 0) await new Promise(requestAnimationFrame);
        return all(".step .part").length > 0;
      });
      await press("Report …");
      await until("the question", () => all("dialog")[0]?.open);
      await press("Cancel");
      const { height, position } = getComputedStyle(all(".dock")[0]);
      const part = getComputedStyle(all(".step .part")[0]).width;
      return { refused, height, position, isDrawn: Number.parseFloat(part) > 0 };
    }, PANELS);
    assert.deepEqual(seen, { refused: [], height: "340px", position: "fixed", isDrawn: true });
  });

  test(`${engine}: styles of the page for all elements leave it as it is, also right to left`, async () => {
    const seen = await pages.run(async ({ open, shows, all, until, one }) => {
      const style = document.createElement("style");
      style.textContent = `
        html > *, body * { transform: translateY(200px) !important; opacity: 0.1 !important; font-size: 40px !important; filter: blur(2px) !important; contain: paint !important; }
        body > * { display: none !important; visibility: hidden !important; }
        html { direction: rtl; font-size: 60px; line-height: 5; letter-spacing: 1em; text-transform: uppercase; color: red; zoom: 1; }
        dialog, section, header, button, table, pre, dl { display: none !important; }`;
      document.head.append(style);
      document.documentElement.dir = "rtl";
      // The page's own body is no concern of the panel's.
      const { tasks, mounted } = await open({}, { parent: document.documentElement });
      await tasks.create({ id: "1", title: "milk" });
      await shows("1 write waits");
      const box = (await one(".dock")).getBoundingClientRect();
      const look = getComputedStyle(all(".body")[0]);
      const host = getComputedStyle(mounted.element);
      const tabs = all('[role="tab"]').map((tab) => tab.getBoundingClientRect().left);
      return {
        bottom: Math.round(box.bottom) === window.innerHeight,
        wide: Math.round(box.width) === document.documentElement.clientWidth,
        host: [host.transform, host.opacity, host.filter, host.display],
        look: [look.fontSize, look.direction, look.letterSpacing, look.textTransform],
        inOrder: tabs.every((left, n) => n === 0 || left > tabs[n - 1]),
      };
    });
    assert.deepEqual(seen, { bottom: true, wide: true, host: ["none", "1", "none", "inline"], look: ["12.5px", "ltr", "normal", "none"], inOrder: true });
  });

  test(`${engine}: in 320 pixels every panel and its tools can be reached, and nothing is wider than the page`, async () => {
    const it = await pages.tab();
    await it.page.setViewportSize?.({ width: 320, height: 600 });
    const seen = await pages.evaluate(it.page, async ({ open, show, all, until, element, panel, choose, press, rows }, panels) => {
      const { datum, tasks } = await open({ entities: { tasks: { conflictResolver: "ask" } } });
      await tasks.create({ id: "a-rather-long-id-of-an-entity-that-has-no-spaces-at-all", title: "x".repeat(2_000) });
      await datum.synchronize("ada");
      await tasks.create({ id: "another-rather-long-id-of-an-entity-that-has-no-spaces", title: "x".repeat(2_000) });
      const wide = [];
      for (const dock of ["bottom", "right"]) {
        element().dock = dock;
        for (const name of panels) {
          await show(name);
          await until(name, () => !/Reading|Asking|Measuring/.test(panel().textContent));
          if (name === "outbox" || name === "entities") {
            await until("rows", () => rows().length > 0);
            rows()[0].click();
            await until("its detail", () => all(".detail h3").length > 0);
          }
          const frame = all(".panel")[0];
          if (frame.scrollWidth > frame.clientWidth + 1) wide.push(`${dock} ${name}: ${frame.scrollWidth} of ${frame.clientWidth}`);
          const tools = all(".tool").map((tool) => tool.getBoundingClientRect());
          const tabs = all('[role="tab"]').filter((tab) => {
            const { left, top, width, height } = tab.getBoundingClientRect();
            return element().shadowRoot.elementFromPoint(left + width / 2, top + height / 2)?.closest('[role="tab"]') !== tab;
          });
          if (tabs.length > 0) wide.push(`${dock} ${name}: the tabs ${tabs.map((tab) => tab.textContent)}`);
          if (tools.some(({ left, right }) => left < -1 || right > window.innerWidth + 1)) wide.push(`${dock} ${name}: the tools`);
        }
      }
      return { wide, width: window.innerWidth };
    }, PANELS);
    assert.deepEqual(seen.wide, [], `${seen.width} pixels`);
    await it.context.close();
  });

  test(`${engine}: the focus stays in the panel while it is used, and goes back to where it was`, async () => {
    const seen = await pages.run(async ({ open, remote, toggle, panel, until, all, key, element, isDisabled }) => {
      const { pull } = remote;
      let release;
      const held = new Promise((resolve) => (release = resolve));
      remote.pull = async (...given) => (await held, pull.apply(remote, given));
      await open({}, { open: false, panel: "status" });
      await until("the launcher", () => all(".launcher")[0]);
      const inner = () => element().shadowRoot.activeElement;
      const closed = async () => {
        key("Escape");
        await until("no panel", () => !panel());
      };
      document.activeElement?.blur();
      toggle();
      await until("the panel", panel);
      await closed();
      const fromNothing = inner()?.className;
      // A field of the app in a tree of its own.
      const host = document.body.appendChild(document.createElement("div"));
      const field = host.attachShadow({ mode: "open" }).appendChild(document.createElement("input"));
      field.focus();
      key("D", { code: "KeyD", altKey: true, shiftKey: true });
      await until("the panel", panel);
      await closed();
      const toField = host.shadowRoot.activeElement === field;
      toggle();
      const button = await until("the button", () => all("button").find((it) => it.textContent === "Synchronize"));
      button.focus();
      button.click();
      await until("a cycle", () => isDisabled(button));
      // A browser takes the focus from what is disabled with the next frame.
      await new Promise((resolve) => setTimeout(resolve, 300));
      const stays = inner() === button;
      host.remove();
      await closed();
      release();
      return { fromNothing, toField, stays, fromGone: inner()?.className };
    });
    assert.deepEqual(seen, { fromNothing: "launcher", toField: true, stays: true, fromGone: "launcher" });
  });

  test(`${engine}: mounted twice in one turn, removed and added again, it is one panel that goes on`, async () => {
    const seen = await pages.run(async ({ open, mountDevtools, show, shows, element, panel, until, all }) => {
      // As React does in StrictMode: an effect, its end, and the effect again.
      const { datum, tasks } = await open({ mount: false });
      mountDevtools(datum, { open: true }).unmount();
      const first = mountDevtools(datum, { open: true, panel: "outbox" });
      const second = mountDevtools(datum, { open: true });
      first.unmount();
      first.unmount();
      await tasks.create({ id: "1", title: "milk" });
      await shows("1 operation");
      const elements = document.querySelectorAll("datum-devtools").length;
      const it = element();
      it.remove();
      await tasks.create({ id: "2", title: "tea" });
      document.body.append(it);
      await shows("2 operations");
      const parent = document.createElement("div");
      document.body.append(parent);
      parent.append(it);
      await tasks.create({ id: "3", title: "oats" });
      await shows("3 operations");
      for (const theme of ["dark", "light", "dark"]) it.setAttribute("theme", theme);
      const dark = getComputedStyle(panel()).backgroundColor;
      it.setAttribute("theme", "light");
      const light = getComputedStyle(panel()).backgroundColor;
      second.unmount();
      return { elements, left: document.querySelectorAll("datum-devtools").length, differ: dark !== light };
    });
    assert.deepEqual(seen, { elements: 1, left: 0, differ: true });
  });

  test(`${engine}: a cycle of another tab is in the timeline while it runs and afterwards, and none is there twice`, async () => {
    const first = await pages.tab();
    await pages.evaluate(first.page, async ({ open, remote }) => {
      remote.serverId = "same";
      const { datum } = await open({ mount: false });
      await datum.synchronize("ada");
      Object.assign(window, { datum, remote });
    });
    const second = await pages.tab(first);
    await pages.evaluate(second.page, async ({ open, remote, shows, show }) => {
      remote.serverId = "same";
      const { datum } = await open({}, { panel: "status" });
      window.datum = datum;
      await shows("No cycle since this panel was opened");
    });
    await pages.evaluate(first.page, () => {
      const { pull } = window.remote;
      const held = new Promise((resolve) => (window.release = resolve));
      window.remote.pull = async (...given) => (await held, pull.apply(window.remote, given));
      window.cycle = window.datum.synchronize("ada");
    });
    await pages.evaluate(second.page, async ({ rows, until }) => void (await until("the other's cycle", () => rows().length === 1 && rows()[0].textContent.includes("runs"))));
    await pages.evaluate(first.page, async () => {
      window.release();
      await window.cycle;
    });
    const seen = await pages.evaluate(second.page, async ({ rows, until, press, detail }) => {
      await until("its end", () => rows()[0].textContent.includes("done"));
      rows()[0].click();
      await until("whose it is", () => detail().includes("Another tab ran it"));
      await press("Synchronize");
      await until("the own cycle", () => rows().length === 2 && rows()[0].textContent.includes("push → pull") && rows()[0].textContent.includes("done"));
      // One more of this tab and one of no tab would be there by now.
      await new Promise((resolve) => setTimeout(resolve, 300));
      return rows().length;
    });
    assert.equal(seen, 2);
    await first.context.close();
  });

  test(`${engine}: a type that only another tab's config names is said, and nothing is thrown`, async () => {
    const first = await pages.tab();
    await pages.evaluate(first.page, async ({ open }) => {
      const { datum } = await open({ entities: { tasks: {}, notes: {} }, mount: false });
      window.datum = datum;
    });
    const second = await pages.tab(first);
    await pages.evaluate(second.page, async ({ open, shows }) => {
      window.thrown = [];
      for (const type of ["error", "unhandledrejection"]) window.addEventListener(type, (event) => window.thrown.push(event.message ?? String(event.reason)));
      await open({}, { panel: "entities" });
      await shows("There are no tasks yet");
    });
    await pages.evaluate(first.page, () => void window.datum.manager("notes").create({ id: "1" }));
    const seen = await pages.evaluate(second.page, async ({ all, until, shows }) => {
      const select = all('[aria-label="Entity type"]')[0];
      await until("the type", () => [...select.options].some(({ value }) => value === "notes"));
      select.value = "notes";
      select.dispatchEvent(new Event("change", { bubbles: true }));
      await shows("no entity type notes");
      return [[...select.options].map(({ value }) => value), window.thrown];
    });
    assert.deepEqual(seen, [["tasks", "notes"], []]);
    await first.context.close();
  });

  test(`${engine}: another tab is listed while it has the data open`, async () => {
    const first = await pages.tab();
    await pages.evaluate(first.page, async ({ open, show, shows }) => {
      const { datum } = await open();
      window.datum = datum;
      await show("tabs");
      await shows("1 open tab");
    });
    const second = await pages.tab(first);
    const from = await pages.evaluate(second.page, async ({ open }) => {
      const { datum } = await open({ mount: false });
      window.datum = datum;
      return (await datum.tabs("ada")).map(({ isThis, id, openedAt }) => [isThis, /^[0-9a-f]{8}$/.test(id), !Number.isNaN(Date.parse(openedAt))]);
    });
    assert.deepEqual(from, [[true, true, true], [false, true, true]]);
    const seen = await pages.evaluate(first.page, async ({ press, shows, all }) => {
      await press("Ask again");
      await shows("2 open tabs");
      return all("table tbody tr").length;
    });
    assert.equal(seen, 2);
    await pages.evaluate(second.page, () => window.datum.close());
    const after = await pages.evaluate(first.page, async ({ press, shows }) => {
      await press("Ask again");
      await shows("1 open tab");
      return [(await window.datum.tabs("ada")).length, await window.datum.tabs("nobody"), await window.datum.tabs("").catch(({ code }) => code)];
    });
    assert.deepEqual(after, [1, [], "invalidArgument"]);
    await first.context.close();
  });
}
