#!/usr/bin/env node
// `npx datum-sync`: the package's commands. Each is a module that is loaded when it is asked for.

import { readFile } from "node:fs/promises";
import { dispatch } from "./dispatch.js";

const COMMANDS = {
  conformance: { about: "attacks a backend or an adapter, and says which guarantees it does not keep", load: () => import("./conformance.js") },
};

const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
process.exitCode = await dispatch(process.argv.slice(2), COMMANDS, {
  version,
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
});
