// Real tabs in three engines, over the W3C WebDriver protocol. It needs only a dozen kinds of request.
import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { temporaryFolder } from "./files.mjs";
import { freePort } from "./ports.mjs";
import { isTraced, saveTraces } from "./traces.mjs";

/** How long a driver may take to answer: longer than a script or a page load may take. */
const ANSWER_MS = 160_000;
const QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"];
/** The drivers and their options. `cargo xtask test` sets the variables that name the programs. */
const ENGINES = {
  chromium: {
    driver: (port) => ["chromedriver", `--port=${port}`],
    capabilities: (profile) => ({ "goog:chromeOptions": { binary: process.env.CHROMIUM, args: [...QUIET, `--user-data-dir=${profile}`] } }),
  },
  firefox: {
    driver: (port) => ["geckodriver", "--port", String(port), "--allow-system-access"],
    capabilities: (profile) => ({ "moz:firefoxOptions": { binary: process.env.FIREFOX, args: ["-headless", "-profile", profile] } }),
    process: (capabilities) => capabilities["moz:processID"],
  },
  webkit: {
    // It needs a screen. Its sandbox does not work for root or in most containers.
    driver: (port) => ["xvfb-run", "-a", "WebKitWebDriver", `--port=${port}`],
    capabilities: () => ({ "webkitgtk:browserOptions": { binary: process.env.MINIBROWSER, args: ["--automation"] } }),
  },
};

/** Returns the engines to test: Chromium, unless `cargo xtask test` names others. */
export const engines = () => (process.env.DATUM_ENGINES ?? "chromium").split(",").filter((name) => name !== "");

/** Starts an engine. With `profile` it continues on the profile of an earlier one. */
export async function drive(name, { profile } = {}) {
  const { driver, capabilities, process: processOf } = ENGINES[name];
  const folder = profile ?? (await temporaryFolder()).path;
  const port = await freePort();
  const [program, ...args] = driver(port);
  // A process group, so that the browser ends with its driver.
  const child = spawn(program, args, { stdio: "ignore", detached: true, env: { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" } });
  const gone = new Promise((resolve) => child.once("close", resolve));
  const end = async (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has exited already.
    }
    await gone;
  };
  const base = `http://127.0.0.1:${port}`;
  const call = async (method, path, body) => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(`${base}${path}`, { method, signal, headers: { "content-type": "application/json" }, ...(body && { body: JSON.stringify(body) }) });
    const { value } = await response.json();
    if (!response.ok) throw Object.assign(new Error(`${name}: ${method} ${path}: ${value?.error}: ${value?.message}`), { code: value?.error });
    return value;
  };
  const started = Date.now();
  while (!(await call("GET", "/status").catch(() => null))?.ready) {
    if (Date.now() - started > 30_000) {
      await end("SIGKILL");
      throw new Error(`${program} did not start`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const session = await call("POST", "/session", { capabilities: { alwaysMatch: capabilities(folder) } });
  const at = `/session/${session.sessionId}`;
  const home = await call("GET", `${at}/window`);
  await call("POST", `${at}/timeouts`, { script: 150_000, pageLoad: 30_000 });

  // Commands run one at a time, because each first selects its window.
  let last = Promise.resolve();
  const serialized = (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
  const tab = (handle) => {
    const act = (work) =>
      serialized(async () => {
        await call("POST", `${at}/window`, { handle });
        return work();
      });
    // No eval, which a page's content security policy may forbid.
    const script = (source) => `const [given, done] = arguments; Promise.resolve().then(() => (${source})(given)).then((value) => done({ value }), (error) => done({ error: String(error) + " " + (error?.code ?? "") + " " + (error?.stack ?? "") }));`;
    const self = {
      /** Runs a function in the page. It can use only its argument and the page's globals. */
      run: (work, given = null) =>
        act(async () => {
          const { value, error } = await call("POST", `${at}/execute/async`, { script: script(String(work)), args: [given] });
          if (error) throw new Error(`in ${name}: ${error}`);
          return value;
        }),
      go: (url) => act(() => call("POST", `${at}/url`, { url })),
      reload: () => act(() => call("POST", `${at}/refresh`, {})),
      async close() {
        if (isTraced) await saveTraces(self.run);
        return act(() => call("DELETE", `${at}/window`));
      },
      /** Waits until a condition is true in the page. */
      async until(condition, given = null) {
        const started = Date.now();
        for (;;) {
          if (await self.run(condition, given)) return;
          if (Date.now() - started > 40_000) throw new Error(`in ${name}, timed out waiting for: ${condition}; the page: ${JSON.stringify(await self.run(() => [window.app?.feed?.current, window.app?.errors]))}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      },
      async ready() {
        await self.until(() => document.title === "ready");
        return self;
      },
    };
    return self;
  };
  return {
    profile: folder,
    /** The browser's process id, if the driver reports it. */
    pid: processOf?.(session.capabilities),
    /** Opens a tab. The browser's first tab stays empty and keeps the browser open. */
    async open(url) {
      const { handle } = await serialized(async () => {
        await call("POST", `${at}/window`, { handle: home });
        return call("POST", `${at}/window/new`, { type: "tab" });
      });
      const it = tab(handle);
      await it.go(url);
      return it;
    },
    /** Closes the browser and deletes its profile. */
    async stop() {
      await call("DELETE", at).catch(() => {});
      await end("SIGTERM");
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
    /** Kills the browser, then the driver. */
    async kill() {
      process.kill(this.pid, "SIGKILL");
      await end("SIGKILL");
    },
  };
}
