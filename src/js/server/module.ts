// The rules' WebAssembly module: loaded once in a process, when a store first needs it.

import type * as Glue from "./rules.js";

/** @internal */
export type Rules = Glue.Rules;

let loaded: Promise<typeof Glue> | undefined;

/** @internal Loads the module: from `given`, or from the file beside this one. */
export function loadRules(given?: WebAssembly.Module | BufferSource): Promise<typeof Glue> {
  loaded ??= load(given).catch((error: unknown) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
}

async function load(given: WebAssembly.Module | BufferSource | undefined): Promise<typeof Glue> {
  if (typeof WebAssembly !== "object") throw new Error("memoryStore and sqliteStore need WebAssembly, which this runtime has not. postgresStore does not.");
  const glue = await import("./rules.js");
  await glue.default({ module_or_path: given ?? (await bytes()) });
  return glue;
}

async function bytes(): Promise<BufferSource> {
  const url = new URL("./datum_sync_server.wasm", import.meta.url);
  try {
    if (url.protocol !== "file:") return await (await fetch(url)).arrayBuffer();
    // Not by a literal: bundlers for the edge refuse Node's modules.
    const name = "node:fs/promises" as string;
    const { readFile } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as { readFile(url: URL): Promise<BufferSource> };
    return await readFile(url);
  } catch (cause) {
    const message = `Cannot read ${url.href}. Where files cannot be read, import datum-sync/datum_sync_server.wasm and give it to the store as \`module\`; where a bundler has moved this module, leave datum-sync out of the bundle.`;
    throw new Error(message, { cause });
  }
}
