// An empty page that can import the packed package, with a backend that lives in the page.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installPackage } from "./package.mjs";
import { openEngine } from "./pages.mjs";
import { serveFolder } from "./static.mjs";

// `config(more)` makes a config; `until` waits for a condition; `sent` has the requests, each with the headers that it carried.
const SETUP = `
export const sent = [];
const reply = { pull: { changes: [], cursor: "1", more: false }, metadata: {}, health: {} };
const push = ({ operations }) => ({ results: operations.map(({ opId }, n) => ({ opId, status: "applied", version: n + 1 })) });
export const fetch = async (url, { headers, body }) => {
  const name = new URL(url).pathname.split("/").at(-1);
  const request = body === undefined ? undefined : JSON.parse(body);
  sent.push({ name, headers, body: request });
  return Response.json(name === "push" ? push(request) : (reply[name] ?? {}));
};
export const config = (more = {}) => ({
  name: "app", entities: { tasks: {} }, initialUserId: "ada", flushOnLeave: false, ...more,
  remote: { url: "https://api.test", headers: () => ({ Authorization: "ada" }), fetch, ...more.remote },
});
/** Resolves once a condition holds; \`what\` says what is waited for. */
export async function until(what, condition) {
  const end = performance.now() + 25_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("not within 25 s: " + what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
export const code = (promise) => Promise.resolve(promise).then((value) => ({ value }), ({ code, message }) => ({ code, message }));
`;

// Imports in the page's own script, since a driver's has no base.
const PLAY = `<script>window.play = async ([text, argument]) => {
  const parts = { ...(await import("datum-sync")), ...(await import(new URL("setup.js", location.href).href)) };
  return (0, eval)("(" + text + ")")(parts, argument);
};</script>`;

/** Starts an engine and a web host. `run(act, argument)` runs a function in a new page, as `({ Datum, …package, …setup }, argument)`. */
export async function blankPages(engine = "chromium") {
  const [browser, installed] = await Promise.all([openEngine(engine), installPackage()]);
  const path = join(installed.root, "blank");
  await mkdir(path);
  await installed.copyTo(path);
  await writeFile(join(path, "setup.js"), SETUP);
  const map = `<script type="importmap">{ "imports": { "datum-sync": "./datum-sync/index.js" } }</script>`;
  await writeFile(join(path, "index.html"), `<!doctype html><meta charset="utf-8"><title>blank</title><link rel="icon" href="data:,">${map}${PLAY}`);
  const hosts = [];
  return {
    path,
    async tab(of) {
      let { context, url } = of ?? {};
      if (of === undefined) {
        // Storage belongs to an origin: each device has one of its own.
        hosts.push(await serveFolder(path));
        ({ context } = await browser.device());
        url = hosts.at(-1).url;
      }
      const page = await context.newPage();
      await page.goto(`${url}/`);
      return { context, page, url };
    },
    async run(act, argument) {
      const it = await this.tab();
      try {
        return await evaluate(it.page, act, argument);
      } finally {
        await it.context.close();
      }
    },
    async stop() {
      await browser.stop();
      for (const host of hosts) await host.stop();
      await installed.remove();
    },
  };
}

/** Runs a function in a page. */
export const evaluate = (page, act, argument) => page.evaluate((given) => window.play(given), [String(act), argument]);
