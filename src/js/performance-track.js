// Shows what an instance does in the browser's performance timeline. Loaded by `performanceTrack`.

/** How many entries are kept: a page may live for days. */
const KEPT = 500;

const COLORS = { cycle: "primary", phase: "primary-light", request: "secondary", commit: "tertiary" };
const TRACKS = { cycle: "Cycles", phase: "Cycles", request: "Requests", commit: "Commits" };

/** Draws the activities of an instance until it is closed. */
export async function draw(activities, name) {
  const { performance } = globalThis;
  // The names of the entries that are in the timeline: a name removes all that have it.
  const drawn = new Set();
  let count = 0;
  for await (const { kind, name: what, userId, startMs, durationMs, outcome, error, id, parent, startedAt, ...rest } of activities) {
    if (outcome === "running") continue;
    const entry = `${name}: ${kind} ${what}`;
    const properties = Object.entries({ user: userId, outcome, ...(error && { error: error.code, status: error.status }), ...rest })
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, String(value)]);
    const devtools = {
      dataType: "track-entry",
      track: TRACKS[kind],
      trackGroup: `datum-sync ${name}`,
      color: outcome === "failed" ? "error" : COLORS[kind],
      properties,
      tooltipText: `${what}: ${error ? error.code : outcome}`,
    };
    try {
      if (count === KEPT) {
        for (const old of drawn) performance.clearMeasures(old);
        drawn.clear();
        count = 0;
      }
      performance.measure(entry, { start: startMs, duration: durationMs, detail: { devtools } });
      drawn.add(entry);
      count += 1;
    } catch {
      // Older browsers have no `performance.measure`, or one without options.
      return;
    }
  }
}
