// Real tabs in three engines, each by its own driver, over the W3C protocol: it is a dozen plain requests.
import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { temporaryFolder } from "./files.mjs";
import { freePort } from "./ports.mjs";

const QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"];
/** What each needs; the programs are named by the environment, as `cargo xtask test` sets it. */
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
    // Its window needs a screen; its sandbox cannot start for root, nor in most containers, and the pages are our own.
    driver: (port) => ["xvfb-run", "-a", "WebKitWebDriver", `--port=${port}`],
    capabilities: () => ({ "webkitgtk:browserOptions": { binary: process.env.MINIBROWSER, args: ["--automation"] } }),
  },
};

/** The engines that the tests are to run in: Chromium, unless `cargo xtask test` names more. */
export const engines = () => (process.env.DATUM_ENGINES ?? "chromium").split(",").filter((name) => name !== "");

/** Starts an engine; with `profile`, on what an earlier one left there. */
export async function drive(name, { profile } = {}) {
  const { driver, capabilities, process: processOf } = ENGINES[name];
  const place = profile ?? (await temporaryFolder()).path;
  const port = await freePort();
  const [program, ...args] = driver(port);
  // A group of its own, so that what the driver has started goes with it.
  const child = spawn(program, args, { stdio: "ignore", detached: true, env: { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" } });
  const gone = new Promise((resolve) => child.once("close", resolve));
  const end = async (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has ended by itself.
    }
    await gone;
  };
  const base = `http://127.0.0.1:${port}`;
  const call = async (method, path, body) => {
    const response = await fetch(`${base}${path}`, { method, headers: { "content-type": "application/json" }, ...(body && { body: JSON.stringify(body) }) });
    const { value } = await response.json();
    if (!response.ok) throw Object.assign(new Error(`${name}: ${method} ${path}: ${value?.error}: ${value?.message}`), { code: value?.error });
    return value;
  };
  const started = Date.now();
  while (!(await call("GET", "/status").catch(() => null))?.ready) {
    if (Date.now() - started > 30_000) {
      await end("SIGKILL");
      throw new Error(`${program} did not come up`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const session = await call("POST", "/session", { capabilities: { alwaysMatch: capabilities(place) } });
  const at = `/session/${session.sessionId}`;
  const home = await call("GET", `${at}/window`);
  await call("POST", `${at}/timeouts`, { script: 30_000, pageLoad: 30_000 });

  // One command at a time: which window it goes to is said before it.
  let last = Promise.resolve();
  const inTurn = (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
  const tab = (handle) => {
    const act = (work) =>
      inTurn(async () => {
        await call("POST", `${at}/window`, { handle });
        return work();
      });
    const script = `const [source, given, done] = arguments; Promise.resolve().then(() => (0, eval)("(" + source + ")")(given)).then((value) => done({ value }), (error) => done({ error: String(error?.stack ?? error) + " " + (error?.code ?? "") }));`;
    const self = {
      /** Runs a function in the page, which sees nothing but its argument and the page's globals. */
      run: (work, given = null) =>
        act(async () => {
          const { value, error } = await call("POST", `${at}/execute/async`, { script, args: [String(work), given] });
          if (error) throw new Error(`in ${name}: ${error}`);
          return value;
        }),
      go: (url) => act(() => call("POST", `${at}/url`, { url })),
      reload: () => act(() => call("POST", `${at}/refresh`, {})),
      close: () => act(() => call("DELETE", `${at}/window`)),
      /** Waits until this holds in the page. */
      async until(holds, given = null) {
        const started = Date.now();
        for (;;) {
          if (await self.run(holds, given)) return;
          if (Date.now() - started > 40_000) throw new Error(`in ${name}, it never came: ${holds}; the page: ${JSON.stringify(await self.run(() => [window.app?.feed?.current, window.app?.errors]))}`);
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
    profile: place,
    /** The browser's own process, where the driver tells. */
    pid: processOf?.(session.capabilities),
    /** A new tab. The one that the browser has come up with stays empty, and keeps it open. */
    async open(url) {
      const { handle } = await inTurn(async () => {
        await call("POST", `${at}/window`, { handle: home });
        return call("POST", `${at}/window/new`, { type: "tab" });
      });
      const it = tab(handle);
      await it.go(url);
      return it;
    },
    /** Ends it as a user would, or, with a signal, as nobody should. */
    async stop() {
      await call("DELETE", at).catch(() => {});
      await end("SIGTERM");
      await rm(place, { recursive: true, force: true, maxRetries: 5 });
    },
    /** Ends the browser at once, by the process that the driver has started, and then the driver. */
    async kill() {
      process.kill(this.pid, "SIGKILL");
      await end("SIGKILL");
    },
  };
}
