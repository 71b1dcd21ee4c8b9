// A server process: started, awaited until it says where it listens, ended by its own handle.
import { spawn } from "node:child_process";

const START = 30_000;

/**
 * Starts `program` and resolves with `{ url, said(), stop() }` once a line matches `ready`,
 * whose first group is the address.
 */
export function start(program, args, ready, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let text = "";
    const closed = new Promise((done) => child.on("close", done));
    const stop = async () => {
      child.kill("SIGTERM");
      const stubborn = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await closed;
      clearTimeout(stubborn);
    };
    const give_up = (why) => {
      clearTimeout(timer);
      void stop();
      reject(new Error(`${program} ${why}:\n${text}`));
    };
    const timer = setTimeout(() => give_up("did not say that it listens"), START);
    const listen = (bytes) => {
      text += bytes;
      // Colours are no part of an address.
      const found = ready.exec(text.replace(/\x1b\[[0-9;]*m/g, ""));
      if (found) {
        clearTimeout(timer);
        resolve({ url: found[1].replace(/\/$/, ""), said: () => text, stop });
      }
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("error", reject);
    child.on("close", (code) => give_up(`ended with ${code}`));
  });
}
