// The hooks for frameworks, built from their source, with the real frameworks and without the engine.
import { cp, mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { compile } from "svelte/compiler";
import { npm, temporaryFolder } from "./files.mjs";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SOURCE = join(ROOT, "src/js/hooks");
const HERE = fileURLToPath(new URL("../", import.meta.url));

/** Of the package, the hooks need one class. */
const ALIAS = { "datum-sync": join(ROOT, "src/js/support.js") };
for (const name of ["react", "vue", "svelte", "solid"]) ALIAS[`datum-sync/${name}`] = join(ROOT, `src/js/hooks/${name}.ts`);

const svelte = (isServer) => ({
  name: "svelte",
  setup(it) {
    it.onLoad({ filter: /\.svelte$/ }, async ({ path }) => {
      const { js } = compile(await readFile(path, "utf8"), { filename: path, generate: isServer ? "server" : "client", dev: !isServer });
      return { contents: js.code, loader: "js" };
    });
  },
});

/** The packages of the hooks' sources, which stand in no folder that has any. */
const packages = (from) => ({
  name: "packages",
  setup(it) {
    it.onResolve({ filter: /^(react|vue|svelte|solid-js)(\/|$)/ }, ({ path, resolveDir, kind }) =>
      resolveDir.startsWith(SOURCE) ? it.resolve(path, { resolveDir: from, kind }) : undefined,
    );
  },
});

/**
 * Bundles a module's text for a browser, or for a server, and loads it. `from` is the folder in which its packages are. Globals of a browser must be
 * there before.
 */
export async function load(text, { isServer = false, from = HERE } = {}) {
  const folder = await temporaryFolder();
  const outfile = join(folder.path, "bundle.mjs");
  try {
    await build({
      stdin: { contents: text, resolveDir: from, loader: "ts" },
      outfile,
      bundle: true,
      format: "esm",
      platform: isServer ? "node" : "browser",
      conditions: isServer ? ["node", "development"] : ["browser", "development"],
      define: { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true" },
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      alias: ALIAS,
      plugins: [packages(from), svelte(isServer)],
      logLevel: "error",
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    await folder.remove();
  }
}

/** Installs React 18 into a new folder. */
export async function installReact18() {
  const folder = await temporaryFolder();
  const path = join(folder.path, "react-18");
  await mkdir(path);
  for (const name of ["package.json", "package-lock.json"]) await cp(join(HERE, "react-18", name), join(path, name));
  await npm(["ci"], path);
  return { path, remove: folder.remove };
}

/** Gives this process the globals of a browser, for as long as it runs. */
export async function beBrowser() {
  const { Window } = createRequire(import.meta.url)("happy-dom");
  const window = new Window({ url: "http://localhost/" });
  const names = ["document", "Node", "Element", "Text", "Comment", "DocumentFragment", "HTMLElement", "HTMLInputElement", "HTMLIFrameElement", "HTMLMediaElement", "HTMLTemplateElement", "SVGElement", "Event", "CustomEvent", "MutationObserver", "Range", "ShadowRoot", "navigator", "location", "requestAnimationFrame", "cancelAnimationFrame"];
  for (const name of names) Object.defineProperty(globalThis, name, { configurable: true, writable: true, value: typeof window[name] === "function" && name.startsWith("request") ? window[name].bind(window) : window[name] });
  Object.defineProperty(globalThis, "window", { configurable: true, writable: true, value: globalThis });
  for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"]) globalThis[name] ??= window[name].bind(window);
  return window;
}
