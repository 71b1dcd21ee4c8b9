// Traces work in Chromium: the largest JavaScript heap and the longest task of the main thread.
//
// The heap is read before each garbage collection, where it is largest, and whenever the browser measures it.
import { readFile, writeFile } from "node:fs/promises";
import { platform } from "node:os";

const CATEGORIES = ["disabled-by-default-v8.gc", "devtools.timeline", "disabled-by-default-devtools.timeline", "v8", "toplevel", "blink.user_timing", "__metadata"];

/** Returns the page's process id. */
async function processOf(visit) {
  const session = await visit.session();
  const events = await record(session, ["blink.user_timing"], () => visit.page.evaluate(() => void performance.mark("bench-here")));
  await session.detach();
  return events.find((event) => event.name === "bench-here")?.pid;
}

/**
 * Returns how much the resident memory of the page's process grew at its peak during `work`, in bytes: heaps, wasm, buffers
 * and code. Only on Linux; null elsewhere.
 */
export async function residentPeak(visit, work) {
  const pid = platform() === "linux" ? await processOf(visit) : undefined;
  const read = async (field) => {
    const text = await readFile(`/proc/${pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) * 1024;
  };
  if (pid === undefined) {
    await work();
    return null;
  }
  await visit.page.evaluate(() => globalThis.gc?.());
  // Resets the high-water mark to the current size.
  await writeFile(`/proc/${pid}/clear_refs`, "5");
  const before = await read("VmRSS");
  await work();
  return (await read("VmHWM")) - before;
}

/** Like Math.max, also for more numbers than a call can have arguments. */
const max = (numbers) => numbers.reduce((one, other) => Math.max(one, other));

async function record(session, includedCategories, work) {
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => value.forEach((event) => events.push(event)));
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories } });
  await work();
  const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.end");
  await complete;
  return events;
}

/** Runs `work`, whose page marks the timed part. Returns bytes and milliseconds. */
export async function traced(visit, work) {
  const session = await visit.session();
  let result;
  const events = await record(session, CATEGORIES, async () => {
    result = await work();
  });
  await session.detach();

  const mark = (name) => events.find((event) => event.cat?.includes("blink.user_timing") && event.name === name);
  const [start, end] = [mark("bench-start"), mark("bench-end")];
  if (!start || !end) throw new Error("the trace has no marks");
  const inside = events.filter((event) => event.pid === start.pid && event.ts >= start.ts && event.ts <= end.ts);
  const heaps = inside.flatMap(({ args }) => [args?.usedHeapSizeBefore, args?.usedHeapSizeAfter, args?.data?.jsHeapSizeUsed]).filter((bytes) => typeof bytes === "number");
  const tasks = inside.filter((event) => event.tid === start.tid && /RunTask$/.test(event.name) && event.dur !== undefined);
  if (heaps.length === 0 || tasks.length === 0) throw new Error("the trace has no heap or no tasks");
  return { result, heap: max(heaps), longest: max(tasks.map((event) => event.dur)) / 1_000 };
}
