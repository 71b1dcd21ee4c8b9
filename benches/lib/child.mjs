// A server process: started, awaited until it says where it listens, ended by its own handle.
import { spawn } from "node:child_process";

const START = 30_000;

/** Resolves with `{ url, stop() }` once a line says "listening on http://…". */
export function start(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const closed = new Promise((done) => child.on("close", done));
    // Whatever ends this process: nothing is left running.
    const end = () => child.kill("SIGKILL");
    process.once("exit", end);
    closed.then(() => process.off("exit", end));
    const stop = async () => {
      child.kill("SIGTERM");
      const stubborn = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await closed;
      clearTimeout(stubborn);
    };
    const giveUp = (why) => {
      clearTimeout(timer);
      void stop();
      reject(new Error(`${program} ${why}:\n${text}`));
    };
    const timer = setTimeout(() => giveUp("did not say that it listens"), START);
    const listen = (bytes) => {
      // Only its beginning and its end are of interest.
      text = (text + bytes).slice(-20_000);
      const found = /listening on (http:\/\/[^\s]+)/.exec(text.replace(/\x1b\[[0-9;]*m/g, ""));
      if (found) {
        clearTimeout(timer);
        resolve({ url: found[1].replace(/\/$/, ""), said: () => text, stop });
      }
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    if (process.env.BENCH_LOG) child.stderr.pipe(process.stderr);
    child.on("error", reject);
    child.on("close", (code) => giveUp(`ended with ${code}`));
  });
}
