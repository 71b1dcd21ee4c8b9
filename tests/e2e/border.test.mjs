// How a list crosses the border to the engine, without a browser: one line per item, and no item may be dropped silently.
import assert from "node:assert/strict";
import { test } from "./lib/test.mjs";
import { blame, linesOf } from "../../src/js/support.js";

test("a list becomes one line per item, whatever its texts contain", () => {
  const said = [{ title: "two\nlines" }, { title: "b" }];
  assert.deepEqual(linesOf(said).split("\n").map((line) => JSON.parse(line)), said);
});

test("an item that JSON would omit is rejected with its index", () => {
  for (const list of [[{ title: "a" }, , { title: "c" }], [{ title: "a" }, { toJSON: () => undefined }], [{ title: "a" }, undefined]]) {
    assert.throws(
      () => linesOf(list),
      (fault) => /`\[1\]`/.test(blame(fault, "invalidEntity", "The entities").message),
    );
  }
});
