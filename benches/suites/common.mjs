// What rows share: rounds in turns, and a result that is checked before its time counts.
import { expected, same } from "../lib/data.mjs";

/**
 * Rounds in turns: each contestant once in a round, another first in each, so that nobody always meets a warm
 * machine. `atMost` holds fewer rounds for the slow. `measure(who, round)` resolves with what it found, or null.
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

/** A contestant that fails is a mistake of this benchmark, never a win. */
export async function guarded(report, what, work) {
  try {
    return await work();
  } catch (error) {
    report.mistake(`${what}: ${String(error?.message ?? error).split("\n").slice(0, 6).join(" | ")}`);
    return undefined;
  }
}

/** Opens a page of a fresh origin for `work`, and leaves nothing behind. */
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

/** Throws unless `facts` are those of so many tasks. */
export function verify(facts, count, from = 0, what = "") {
  const right = expected(count, from);
  if (!same(facts, right)) throw new Error(`${what} has ${facts.count} rows with the sum ${facts.sum}; ${right.count} with ${right.sum} are right`);
}

export const ms = (result) => `${(typeof result === "number" ? result : result.ms).toFixed(1)} ms`;
