// `docs/supabase.md` and `docs/supabase-kit.md`, done as they say: each SQL block in a new project, and each block of TypeScript in a page.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "../e2e/lib/browser.mjs";
import { run } from "../e2e/lib/files.mjs";
import { before, test } from "../e2e/lib/test.mjs";
import { newDevice } from "./lib/devices.mjs";
import { loadPackage } from "./lib/package.mjs";
import { startPages } from "./lib/pages.mjs";
import { kit } from "./lib/kit.mjs";
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

/** The code with the address and the key of the project. */
const filled = (code) => code.replace("https://YOUR-PROJECT.supabase.co", project.url).replace("YOUR-PUBLISHABLE-KEY", project.anonKey);
const packages = here("../e2e/node_modules");
const bin = (name) => join(packages, ".bin", name);
const IMPORTS = { "datum-sync": "./datum-sync/index.js", "datum-sync/supabase": "./datum-sync/supabase/index.js", "@supabase/supabase-js": "./supabase-js.js" };

/** Opens a page with this script. */
async function openScript(name, script) {
  const html = `<!doctype html><title>document</title><link rel="icon" href="data:,"><div id="app"></div><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script><script type="module">${script}</script>`;
  writeFileSync(join(pages.site, `${name}.html`), html);
  const { context, errors } = await pages.browser.device();
  const page = await context.newPage();
  page.on("dialog", (dialog) => dialog.accept(dialog.message() === "Email" ? "reader@example.test" : "correct horse"));
  await page.goto(`${pages.host.url}/${name}.html`);
  return { page, context, errors };
}

/** Opens a page that runs these blocks. It asks who signs in. */
async function open(name, ...blocks) {
  const code = filled(blocks.map((name) => block("ts", name)).join("\n"));
  const typescript = code.replace(/^export const datum = /m, "const datum = (globalThis.datum = ").replace(/^}\);$/m, "}));");
  return openScript(name, execFileSync(bin("esbuild"), ["--loader=ts", "--format=esm", "--target=es2022"], { input: typescript, encoding: "utf8" }));
}

/** Opens the page's React app, after TypeScript has found nothing wrong in it and in the other blocks. */
async function openReact() {
  const source = join(installed.root, "app");
  mkdirSync(source);
  for (const name of ["@supabase", "react", "react-dom", "@types"]) symlinkSync(join(packages, name), join(installed.root, "node_modules", name));
  const main = `import { createElement, StrictMode } from "react";\nimport { createRoot } from "react-dom/client";\nimport App from "./App";\ncreateRoot(document.querySelector("#app")!).render(createElement(StrictMode, null, createElement(App)));\n`;
  const files = { "sync.ts": block("ts", "app"), "App.tsx": block("tsx", "react"), "main.ts": main, "page.ts": ["app", "login", "use", "signin"].map((name) => block("ts", name)).join("\n") };
  for (const [name, code] of Object.entries(files)) writeFileSync(join(source, name), filled(code));
  const compilerOptions = { target: "es2023", lib: ["ES2023", "DOM", "DOM.Iterable"], module: "esnext", moduleResolution: "bundler", jsx: "react-jsx", types: [], strict: true, skipLibCheck: true, noEmit: true };
  writeFileSync(join(source, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["."] }));
  assert.equal(await run(bin("tsc"), ["--project", source]), "");
  const external = Object.keys(IMPORTS).map((name) => `--external:${name}`);
  return openScript("react", await run(bin("esbuild"), [join(source, "main.ts"), "--bundle", "--format=esm", "--target=es2022", "--jsx=automatic", "--log-level=error", ...external]));
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
  const app = await openReact();
  await app.page.getByText("Sign in").click();
  for (const title of ["By SQL", "Of the team"]) await app.page.getByText(title).waitFor();
  await app.page.getByPlaceholder("What is to be done?").fill("In React");
  await app.page.keyboard.press("Enter");
  await app.page.getByRole("listitem").filter({ hasText: "In React" }).waitFor();
  await app.page.waitForFunction(() => document.querySelector("input").value === "");
  for (const end = Date.now() + 15_000; !(await stored()).includes("In React"); ) assert.ok(Date.now() < end, "the table has it within 15 s");
  assert.deepEqual(app.errors, []);
  await app.context.close();
  await project.migrate(block("sql", "leave"));
  const left = await project.query("select (select count(*)::int from pg_trigger where tgname like 'zz\\_datum%') triggers, to_regnamespace('datum') schema, to_regproc('public.datum_pull') function");
  assert.deepEqual(left.rows, [{ triggers: 0, schema: null, function: null }]);
  assert.deepEqual([await stored(), errors], [["Buy bread", "By SQL", "In React", "Of the team"], []]);
});

test("each SQL of the kit's document runs, in the order of the document", async () => {
  const text = readFileSync(here("../../docs/supabase-kit.md"), "utf8");
  // Blocks, and what tables and sentences call by its whole statement.
  const statements = [...text.matchAll(/^```sql\n(.*?)^```$|`(select [^`]*)`/gms)].map(([, block, inline]) => block ?? inline);
  assert.ok(statements.length > 10, String(statements.length));
  const own = await startProject({ isPlain: true, migrations: [block("sql", "before"), block("sql", "teams").split("\nselect datum")[0], kit()] });
  await own.query("insert into auth.users(id, email, password) values ('0198b6a0-7c1e-7000-8000-000000000009', 'kit@example.test', 'x')");
  await own.query("insert into public.tasks(id, user_id, title) values ('0198b6a0-7c1e-7000-8000-000000000001', '0198b6a0-7c1e-7000-8000-000000000009', 'One')");
  for (const statement of statements) await own.migrate(statement).catch((error) => assert.fail(`${statement}: ${error.message}`));
  const { rows } = await own.query("select to_regnamespace('datum') schema, (select count(*)::int from public.tasks) rows");
  assert.deepEqual(rows, [{ schema: null, rows: 1 }]);
});

test("plain tables, as the document makes them, sync with devices and with other writers", async () => {
  const own = await startProject({ isPlain: true, migrations: [block("sql", "before"), block("sql", "tables")] });
  const remote = { tables: { entities: { tasks: "tasks" } } };
  const [phone, laptop] = [await newDevice(own, { remote }), await newDevice(own, { remote })];
  const task = await phone.tasks.create({ title: "Buy bread", done: false, dueDate: "2026-12-24" });
  for (const device of [phone, laptop]) await device.sync();
  await own.query("update public.tasks set done = true");
  await phone.tasks.patch(task.id, { title: "Buy milk" });
  for (const device of [phone, laptop]) await device.sync();
  const { rows } = await own.query("select title, done, version from public.tasks");
  assert.deepEqual(rows, [{ title: "Buy milk", done: true, version: 3 }]);
  const { title, done, dueDate } = await laptop.tasks.read(task.id);
  assert.deepEqual([title, done, dueDate], ["Buy milk", true, "2026-12-24"]);
});
