// Temporary folders and commands.
import { spawn } from "node:child_process";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Creates a folder; `remove()` deletes it. */
export async function temporaryFolder() {
  const path = await realpath(await mkdtemp(join(tmpdir(), "datum-e2e-")));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Runs a command. Rejects with its output if it fails. */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (text += bytes));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${program} ${args.join(" ")} exited with ${code}:\n${text}`));
    });
  });
}

/** Runs npm without audit and funding messages. */
export const npm = (args, cwd) => run("npm", [...args, "--no-audit", "--no-fund", "--prefer-offline"], { cwd });
