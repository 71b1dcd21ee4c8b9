import { afterEach, test, vi } from "vitest";
import { compares, faults, moves, overHttp, reopens, shares, timers } from "./app.mjs";

afterEach(() => void vi.useRealTimers());

test("what was stored is there after reopening", reopens);
test("two devices, and faults of the remote", faults);
test("what the remote tells of its rows and of itself", compares);
test("a push names the server that it is for", moves);
test("users who share a space", shares);
test("the protocol over fetch", () => overHttp(process.env.DATUM_URL));
test("timers that are faked as the runner fakes them", async () => {
  vi.useFakeTimers();
  await timers((ms) => vi.advanceTimersByTimeAsync(ms));
});
test("every timer faked", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate", "Date", "performance", "queueMicrotask"] });
  await timers((ms) => vi.advanceTimersByTimeAsync(ms));
});
