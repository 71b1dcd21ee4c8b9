// What the border makes of an app's list before the engine sees it, apart from any browser: one line for each item, so
// none may be left out in silence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { blame, linesOf } from "../../src/js/support.js";

test("a list has one line for each item, whatever its texts hold", () => {
  const said = [{ title: "two\nlines" }, { title: "b" }];
  assert.deepEqual(linesOf(said).split("\n").map((line) => JSON.parse(line)), said);
});

test("an item that JSON would leave out is refused by its place", () => {
  for (const list of [[{ title: "a" }, , { title: "c" }], [{ title: "a" }, { toJSON: () => undefined }], [{ title: "a" }, undefined]]) {
    assert.throws(
      () => linesOf(list),
      (fault) => /`\[1\]`/.test(blame(fault, "invalidEntity", "The entities").message),
    );
  }
});
