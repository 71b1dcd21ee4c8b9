// Whether the program that started this one is still there.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const EVERY = 500;
const SHELLS = ["ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh"];

/**
 * Calls back once when the parent has ended; or, if the parent is a shell, when the one that started it has: npm and npx start commands by a shell, and a shell
 * outlives what was killed by `SIGKILL`.
 */
export async function whenOrphaned(call) {
  const parent = process.ppid;
  const started = await factsOf(parent);
  const timer = setInterval(async () => {
    const now = isShell(started) ? await factsOf(parent) : undefined;
    // What the system does not say proves nothing: a parent that has ended shows in `ppid`.
    const isAlone = process.ppid !== parent || (now !== undefined && now.parent !== started.parent);
    if (!isAlone) return;
    clearInterval(timer);
    call();
  }, EVERY).unref();
}

const isShell = (facts) => facts !== undefined && SHELLS.includes(facts.name);

/** The parent and the name of a process; undefined where the system does not say. */
async function factsOf(pid) {
  if (process.platform === "win32") return undefined;
  try {
    // The name is in brackets, and may have any characters in it.
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "latin1")) ?? [];
    return { name, parent: Number(parent) };
  } catch {
    return process.platform === "linux" ? undefined : asked(pid);
  }
}

/** The same where there is no /proc. */
function asked(pid) {
  return new Promise((resolve) => {
    execFile("ps", ["-o", "ppid=,comm=", "-p", String(pid)], (error, text) => {
      const [, parent, name] = /^\s*(\d+)\s+-?(.*\S)\s*$/.exec(text ?? "") ?? [];
      resolve(error === null && name !== undefined ? { name: basename(name), parent: Number(parent) } : undefined);
    });
  });
}
