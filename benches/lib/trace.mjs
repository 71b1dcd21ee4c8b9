// A Chromium trace of one piece of work: the highest JavaScript heap and the longest task of the main thread.
//
// The heap is read before each garbage collection, where its peaks are, and whenever the browser counts it.

const CATEGORIES = ["disabled-by-default-v8.gc", "devtools.timeline", "disabled-by-default-devtools.timeline", "v8", "toplevel", "blink.user_timing", "__metadata"];

/** Runs `work`, whose page marks where the timed part begins and ends. Bytes and milliseconds. */
export async function traced(visit, work) {
  const session = await visit.session();
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: CATEGORIES } });
  const result = await work();
  const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.end");
  await complete;
  await session.detach();

  const mark = (name) => events.find((event) => event.cat?.includes("blink.user_timing") && event.name === name);
  const [start, end] = [mark("bench-start"), mark("bench-end")];
  if (!start || !end) throw new Error("the trace has no marks");
  const inside = events.filter((event) => event.pid === start.pid && event.ts >= start.ts && event.ts <= end.ts);
  const heaps = inside.flatMap(({ args }) => [args?.usedHeapSizeBefore, args?.usedHeapSizeAfter, args?.data?.jsHeapSizeUsed]).filter((bytes) => typeof bytes === "number");
  const tasks = inside.filter((event) => event.tid === start.tid && /RunTask$/.test(event.name) && event.dur !== undefined);
  if (heaps.length === 0 || tasks.length === 0) throw new Error("the trace has no heap or no tasks");
  return { result, heap: Math.max(...heaps), longest: Math.max(...tasks.map((event) => event.dur)) / 1_000 };
}
