// A page in any engine with the packed package and the real supabase-js, on a web host of another origin than the project.
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { eventually } from "../../e2e/lib/browser.mjs";
import { openEngine } from "../../e2e/lib/pages.mjs";
import { serveFolder } from "../../e2e/lib/static.mjs";
import { atEnd } from "./cleanup.mjs";
import { loadPackage } from "./package.mjs";

const tool = (path) => fileURLToPath(new URL(path, import.meta.url));

const page = (project) => `<!doctype html><meta charset="utf-8"><title>opening</title><link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "datum-sync": "./datum-sync/index.js", "datum-sync/supabase": "./datum-sync/supabase/index.js", "@supabase/supabase-js": "./supabase-js.js" } }</script>
<script type="module">
import { createClient, navigatorLock } from "@supabase/supabase-js";
import { Datum } from "datum-sync";
import { connectAuth, signedInUser, supabaseRemote } from "datum-sync/supabase";
const given = JSON.parse(new URL(location.href).searchParams.get("given") ?? "{}");
const app = (window.app = { authEvents: [], signedIn: [], signedOut: [], failures: [], statuses: [], log: [], errors: [] });
addEventListener("error", (event) => app.errors.push(String(event.error?.stack ?? event.message)));
addEventListener("unhandledrejection", (event) => app.errors.push(String(event.reason?.stack ?? event.reason)));
const supabase = (app.supabase = createClient("${project.url}", "${project.anonKey}", given.isLocked ? { auth: { lock: navigatorLock } } : {}));
supabase.auth.onAuthStateChange((event) => void app.authEvents.push(event));
app.datum = await Datum.initialize({
  entities: { tasks: {} },
  remote: supabaseRemote(supabase, given.remote),
  initialUserId: () => signedInUser(supabase),
  retry: { maxAttempts: 1 },
  logger: { log: (entry) => app.log.push(entry) },
  ...given.config,
});
app.tasks = app.datum.manager("tasks");
Object.assign(app, { Datum, supabaseRemote, connectAuth });
if (!given.isAlone) app.disconnect = connectAuth(app.datum, supabase, {
  ...given.auth,
  onSignedIn: (user, result) => app.signedIn.push({ user, isSuccess: result?.isSuccess ?? null, fetched: result?.remoteFetched ?? null }),
  onSignedOut: (user, result) => app.signedOut.push({ user, unsynced: result.unsynced.length, wiped: result.wiped }),
  onError: (error) => app.failures.push(error?.code ?? String(error)),
});
app.signIn = async (email) => {
  const { data, error } = await supabase.auth.signInWithPassword({ email, password: "correct horse" });
  if (error) throw error;
  return data.user.id;
};
app.sync = (options) => app.datum.synchronize(app.datum.currentUserId, options).then((result) => ({ pushed: result.pushedCount, pulled: result.pulledCount, failed: result.failedCount }), (error) => ({ code: error.code }));
app.titles = async () => (await app.tasks.readAll()).map((task) => task.title).sort();
app.patterns = given.patterns ? await import("./patterns.js") : undefined;
document.title = "ready";
</script>`;

/** Serves the page of a project. */
export async function startPages(project, engine = "chromium") {
  const installed = await loadPackage();
  const site = join(installed.root, "site");
  await mkdir(site);
  await cp(installed.installed, join(site, "datum-sync"), { recursive: true });
  const [from, to] = [tool("../node_modules/@supabase/supabase-js/dist/index.mjs"), join(site, "supabase-js.js")];
  const esbuild = (args) => promisify(execFile)(tool("../../e2e/node_modules/.bin/esbuild"), [...args, "--bundle", "--format=esm", "--platform=browser", "--log-level=error"]);
  await esbuild([from, `--outfile=${to}`]);
  // The modules of the guide's pages, each under its name.
  const patterns = tool("../../../www/src/patterns/");
  const names = readdirSync(patterns).map((file) => file.replace(/\.ts$/, ""));
  await writeFile(join(site, "patterns.ts"), names.map((name) => `export * as ${name.replace(/-(.)/g, (_, letter) => letter.toUpperCase())} from ${JSON.stringify(join(patterns, name))};`).join("\n"));
  await esbuild([join(site, "patterns.ts"), "--external:datum-sync", "--external:datum-sync/supabase", "--external:@supabase/supabase-js", `--outfile=${join(site, "patterns.js")}`]);
  await writeFile(join(site, "index.html"), page(project));
  const [host, browser] = [await serveFolder(site), await openEngine(engine)];
  const hosts = [host];
  const stop = async () => {
    await browser.stop();
    for (const one of hosts.splice(0)) await one.stop();
  };
  atEnd(stop);
  const ready = (page) => page.waitForFunction(() => document.title === "ready");
  const hands = (page, given, url) => ({
    page,
    ready: () => ready(page),
    load: async () => (await page.goto(`${url}/?given=${encodeURIComponent(JSON.stringify(given))}`), await ready(page)),
    reload: async () => (await page.reload(), await ready(page)),
    signIn: (email) => page.evaluate((email) => window.app.signIn(email), email),
    signOut: (options) => page.evaluate((options) => window.app.supabase.auth.signOut(options).then(({ error }) => error?.message ?? null), options),
    sync: (options) => page.evaluate((options) => window.app.sync(options), options),
    titles: () => page.evaluate(() => window.app.titles()),
    creates: (...titles) => page.evaluate((titles) => window.app.tasks.createMany(titles.map((title) => ({ title, done: false }))).then((made) => made.map(({ id }) => id)), titles),
    user: () => page.evaluate(() => window.app.datum.currentUserId),
    waiting: (user) => page.evaluate((user) => window.app.datum.pendingCount(user), user),
    eventually: (predicate, argument) => eventually(page, predicate, argument),
    told: () => page.evaluate(() => ({ signedIn: window.app.signedIn, signedOut: window.app.signedOut, failures: window.app.failures })),
  });
  return {
    host,
    browser,
    site,
    stop,
    /** A device: a browser context with a page. But for Chromium, storage is an origin's: then each device has one of its own. */
    async device(given = {}) {
      const { context, errors } = await browser.device();
      if (engine !== "chromium") hosts.push(await serveFolder(site));
      const { url } = hosts.at(-1);
      const first = hands(await context.newPage(), given, url);
      await first.load();
      return {
        ...first,
        context,
        errors,
        async tab() {
          const another = hands(await context.newPage(), given, url);
          await another.load();
          return another;
        },
      };
    },
  };
}
