import { afterEach, jest, test } from "@jest/globals";
import { compares, faults, moves, overHttp, reopens, shares, timers } from "./app.mjs";

afterEach(() => void jest.useRealTimers());

test("what was stored is there after reopening", reopens);
test("two devices, and faults of the remote", faults);
test("what the remote tells of its rows and of itself", compares);
test("a push names the server that it is for", moves);
test("users who share a space", shares);
test("the protocol over fetch", () => overHttp(process.env.DATUM_URL));
// Jest fakes `queueMicrotask` and `process.nextTick` too.
test("timers that are faked as the runner fakes them", async () => {
  jest.useFakeTimers();
  await timers((ms) => jest.advanceTimersByTimeAsync(ms));
});
