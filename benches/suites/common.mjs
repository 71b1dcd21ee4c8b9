// Shared by the suites: rounds in rotating order, and checks of results.
import { expected, same } from "../lib/data.mjs";

/**
 * Measures each contestant once per round. The order rotates, so that none always runs on a warm machine. `atMost` gives
 * slow contestants fewer rounds. Returns the results of `measure(who, round)` by contestant.
 */
export async function inTurns({ report, id, rounds, who, atMost = {}, say }, measure) {
  const found = Object.fromEntries(who.map((one) => [one, []]));
  for (let round = 0; round < rounds; round += 1) {
    const turn = round % who.length;
    for (const one of [...who.slice(turn), ...who.slice(0, turn)]) {
      if (round >= (atMost[one] ?? rounds)) continue;
      const result = await guarded(report, `${id} ${one}`, () => measure(one, round));
      if (result === undefined) continue;
      found[one].push(result);
      report.progress(id, round + 1, rounds, one, say(result));
    }
  }
  return found;
}

/** Runs `work`; a failure counts as a mistake of the benchmark. */
export async function guarded(report, what, work) {
  try {
    return await work();
  } catch (error) {
    report.mistake(`${what}: ${String(error?.message ?? error).split("\n").slice(0, 6).join(" | ")}`);
    return undefined;
  }
}

/** Runs `work` on a page of a new origin, and removes its data afterwards. */
export async function onFreshOrigin({ browser, url }, name, work) {
  const origin = browser.origin(url, name);
  const visit = await browser.visit(origin);
  try {
    const result = await work(visit, origin);
    if (visit.errors.length > 0) throw new Error(visit.errors.join(" | "));
    return result;
  } finally {
    await visit.close().catch(() => {});
    await browser.forget(origin);
  }
}

/** Throws unless `facts` are those of `count` tasks. */
export function verify(facts, count, from = 0, what = "") {
  const right = expected(count, from);
  if (!same(facts, right)) throw new Error(`${what} has ${facts.count} rows with checksum ${facts.sum}; expected ${right.count} with ${right.sum}`);
}

export const ms = (result) => `${(typeof result === "number" ? result : result.ms).toFixed(1)} ms`;
