// The conformance kit finds what is wrong with servers that are broken in one thing each, in the right chapter and nowhere else.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { FAULTS } from "../conformance/faults.mjs";
import { startProxy } from "../conformance/proxy.mjs";
import { startKit } from "./lib/conformance.mjs";
import { after, before, test } from "./lib/test.mjs";

let bench;
before(async () => {
  bench = await startKit();
});
after(() => bench?.stop());

const chapters = ({ failures }) => [...new Set(failures.map(({ chapter }) => chapter))];

describe("a server that is broken in one thing", { concurrency: 3 }, () => {
  for (const fault of FAULTS) {
    test(`${fault.chapter}: ${fault.name}`, async () => {
      const proxy = await startProxy(bench.server.url, fault);
      try {
        const report = await bench.check(proxy.url);
        assert.deepEqual([chapters(report), report.stopped], [[fault.chapter], undefined], report.text);
        for (const { expected, came, costs, section } of report.failures) assert.ok(expected && came !== undefined && costs && section);
      } finally {
        await proxy.stop();
      }
    });
  }
  test("in nothing, it passes", async () => {
    const proxy = await startProxy(bench.server.url, {});
    try {
      const report = await bench.check(proxy.url);
      assert.ok(report.passed, report.text);
    } finally {
      await proxy.stop();
    }
  });
});

