// `docs/supabase.md`, done as it says: each SQL block in a new project, and each block of TypeScript in a page.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "../e2e/lib/browser.mjs";
import { before, test } from "../e2e/lib/test.mjs";
import { loadPackage } from "./lib/package.mjs";
import { startPages } from "./lib/pages.mjs";
import { startProject } from "./lib/project.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const text = readFileSync(here("../../docs/supabase.md"), "utf8");
const block = (language, name) => new RegExp(`^\`\`\`${language} supabase=${name}\\n(.*?)^\`\`\`$`, "ms").exec(text)?.[1] ?? assert.fail(`no block ${name}`);

let project, pages, installed;
before(async () => {
  installed = await loadPackage();
  project = await startProject({ isPlain: true, migrations: [block("sql", "before")] });
  pages = await startPages(project);
});

/** Opens a page that runs these blocks. It asks who signs in. */
async function open(name, ...blocks) {
  const code = blocks.map((name) => block("ts", name)).join("\n").replace("https://YOUR-PROJECT.supabase.co", project.url).replace("YOUR-PUBLISHABLE-KEY", project.anonKey);
  const typescript = code.replace(/^const datum = /m, "const datum = (globalThis.datum = ").replace(/^}\);$/m, "}));");
  const script = execFileSync(here("../e2e/node_modules/.bin/esbuild"), ["--loader=ts", "--format=esm", "--target=es2022"], { input: typescript, encoding: "utf8" });
  const imports = { "datum-sync": "./datum-sync/index.js", "datum-sync/supabase": "./datum-sync/supabase/index.js", "@supabase/supabase-js": "./supabase-js.js" };
  const html = `<!doctype html><title>document</title><link rel="icon" href="data:,"><div id="app"></div><script type="importmap">${JSON.stringify({ imports })}</script><script type="module">${script}</script>`;
  writeFileSync(join(pages.site, `${name}.html`), html);
  const context = await pages.browser.newContext();
  const page = await context.newPage();
  const errors = [];
  page.on("dialog", (dialog) => dialog.accept(dialog.message() === "Email" ? "reader@example.test" : "correct horse"));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${pages.host.url}/${name}.html`);
  return { page, context, errors };
}

test("an existing project syncs after one file, one attach and the code of the page, with teams, a look inside, and no trace afterwards", async () => {
  const user = await project.gateway.accounts.add("reader@example.test", "correct horse");
  await project.query("insert into public.tasks(user_id, title, due_date) values ($1, 'There before', '2026-12-24')", [user]);

  await project.migrate(readFileSync(join(installed.installed, "supabase/datum.sql"), "utf8"));
  await project.migrate(block("sql", "attach"));
  await project.reload();
  const { page, errors } = await open("first", "app", "signin", "login", "use");
  const input = page.getByPlaceholder("What is to be done?");
  await page.waitForFunction(() => document.querySelector("#app").textContent.includes("There before"));
  await input.fill("Buy bread");
  await input.press("Enter");
  await page.waitForFunction(() => document.querySelector("#app").textContent.includes("Buy bread"));
  await eventually(page, async (user) => (await globalThis.datum.pendingCount(user)) === 0, user);
  const stored = async () => (await project.query("select title from public.tasks order by title")).rows.map(({ title }) => title);
  assert.deepEqual(await stored(), ["Buy bread", "There before"]);
  assert.equal(await page.evaluate(() => globalThis.datum.manager("tasks").readAll().then((all) => all.find((task) => task.title === "There before").dueDate)), "2026-12-24");
  await project.query("update public.tasks set title = 'By SQL' where title = 'There before'");
  await page.waitForFunction(() => document.querySelector("#app").textContent.includes("By SQL"));

  await project.migrate(block("sql", "teams"));
  const team = (await project.query("insert into public.teams(name) values ('Home') returning id")).rows[0].id;
  await project.query("insert into public.members(team_id, user_id) values ($1, $2)", [team, user]);
  await page.evaluate((user) => globalThis.datum.synchronize(user), user);
  await page.evaluate((team) => globalThis.datum.manager("tasks").create({ title: "Of the team" }, { spaceId: team }), team);
  await page.evaluate((user) => globalThis.datum.synchronize(user), user);
  assert.deepEqual((await project.query("select title from public.tasks where team_id = $1", [team])).rows, [{ title: "Of the team" }]);

  const { rows } = await project.query(block("sql", "status"));
  assert.equal(rows.length, 1, JSON.stringify(rows));
  assert.match(JSON.stringify(rows[0]), /tasks/);
  await page.evaluate(() => globalThis.datum.close());
  await project.migrate(block("sql", "leave"));
  const left = await project.query("select (select count(*)::int from pg_trigger where tgname like 'zz\\_datum%') triggers, to_regnamespace('datum') schema, to_regproc('public.datum_pull') function");
  assert.deepEqual(left.rows, [{ triggers: 0, schema: null, function: null }]);
  assert.deepEqual([await stored(), errors], [["Buy bread", "By SQL", "Of the team"], []]);
});
