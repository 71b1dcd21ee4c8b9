#!/usr/bin/env node
// `npx datum-sync`: the package's commands. Each is a module that is loaded when it is asked for.

import { readFile } from "node:fs/promises";
import { dispatch } from "./dispatch.js";

const COMMANDS = {
  conformance: { about: "attack a backend or an adapter, and see which guarantees it does not keep", load: () => import("./conformance.js") },
  dev: { about: "serve your app while you develop it: any user, in memory or in a file", load: () => import("./dev.js") },
};

const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
process.exitCode = await dispatch(process.argv.slice(2), COMMANDS, {
  version,
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
});
