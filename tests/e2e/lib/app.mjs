// A new Vite app, as `npm create vite` generates it, with the packed package installed.
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { start } from "./child.mjs";
import { tarball } from "./environment.mjs";
import { npm, run, temporaryFolder } from "./files.mjs";
import { freePort } from "./ports.mjs";
import { isSupabase } from "./target.mjs";

const TOOLS = fileURLToPath(new URL("../node_modules/", import.meta.url));
const SOURCE = fileURLToPath(new URL("../app/", import.meta.url));
const SUPABASE = fileURLToPath(new URL("../app-supabase/", import.meta.url));
const STRICT = {
  compilerOptions: {
    target: "es2023",
    lib: ["ES2023", "ESNext.Disposable", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    module: "esnext",
    moduleResolution: "bundler",
    moduleDetection: "force",
    types: ["vite/client"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // The package's types are checked too.
    skipLibCheck: false,
    noEmit: true,
  },
  include: ["src"],
};

/**
 * Generates the app. `pages` maps the names of extra pages to their code. `build()` checks the types and builds into
 * `dist`; `develop()` starts Vite's dev server.
 */
export async function makeApp(pages = new Map()) {
  const folder = await temporaryFolder();
  const root = join(folder.path, "app");
  await run("node", [join(TOOLS, "create-vite/index.js"), "app", "--template", "vanilla-ts", "--no-interactive"], { cwd: folder.path });
  const manifestFile = join(root, "package.json");
  const manifest = JSON.parse(await readFile(manifestFile, "utf8"));
  // The versions of this folder's lock file, so that a new release cannot break the test.
  for (const name of Object.keys(manifest.devDependencies)) manifest.devDependencies[name] = await pinned(name);
  await writeFile(manifestFile, JSON.stringify(manifest, null, 2));
  await npm(["install", tarball()], root);

  await rm(join(root, "src"), { recursive: true });
  await cp(SOURCE, join(root, "src"), { recursive: true });
  if (isSupabase) {
    await npm(["install", `@supabase/supabase-js@${await pinned("@supabase/supabase-js")}`], root);
    await cp(SUPABASE, join(root, "src"), { recursive: true });
  }
  for (const [name, code] of pages) await writeFile(join(root, "src", "pages", `${name}.ts`), code);
  // The types of supabase-js have errors of their own.
  const compilerOptions = { ...STRICT.compilerOptions, skipLibCheck: isSupabase };
  await writeFile(join(root, "tsconfig.json"), JSON.stringify({ ...STRICT, compilerOptions }, null, 2));
  return {
    root,
    dist: join(root, "dist"),
    build: () => run("npm", ["run", "build", "--silent"], { cwd: root }),
    async develop() {
      const args = [join(root, "node_modules/vite/bin/vite.js"), "--host", "127.0.0.1", "--port", String(await freePort()), "--strictPort"];
      return start("node", args, { ready: /(http:\/\/127\.0\.0\.1:\d+)/, cwd: root });
    },
    remove: folder.remove,
  };
}

async function pinned(name) {
  const { version } = JSON.parse(await readFile(join(TOOLS, name, "package.json"), "utf8"));
  return version;
}
