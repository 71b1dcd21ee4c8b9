// Starts a server process and waits until it prints its address. The benchmark uses this module too.
import { spawn } from "node:child_process";

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;
const LISTENING = /listening on (http:\/\/[^\s]+)/;

/**
 * Starts `program`. Resolves with `{ url, said(), stop() }` once its output matches `ready`, whose first
 * group is the address. `said()` is the end of its output. `options` are those of `spawn`.
 */
export function start(program, args, { ready = LISTENING, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let text = "";
    const closed = new Promise((done) => child.on("close", done));
    // However this process ends, the child ends with it.
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    closed.then(() => process.off("exit", kill));
    const stop = async () => {
      child.kill("SIGTERM");
      const timer = setTimeout(kill, STOP_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
    };
    const fail = (why) => {
      clearTimeout(timer);
      void stop();
      reject(new Error(`${program} ${why}:\n${text}`));
    };
    const timer = setTimeout(() => fail("did not print its address"), START_TIMEOUT_MS);
    const read = (bytes) => {
      text = (text + bytes).slice(-20_000);
      const found = ready.exec(text.replace(/\x1b\[[0-9;]*m/g, "")); // without colours
      if (!found) return;
      clearTimeout(timer);
      resolve({ url: found[1].replace(/\/$/, ""), said: () => text, stop });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    if (process.env.BENCH_LOG) child.stderr.pipe(process.stderr);
    child.on("error", reject);
    child.on("close", (code) => fail(`exited with ${code}`));
  });
}
