// The tests of a file in every engine of `DATUM_ENGINES`, one engine after the other.
import { test as declare } from "../../e2e/lib/test.mjs";
import { engines } from "../../e2e/lib/webdriver.mjs";

/** `test` declares as usual; `inEach(start)`, at the end of the file, has them run in each engine, after `start(engine)`. */
export function inEngines() {
  const tests = [];
  return {
    test: (title, work) => void tests.push([title, work]),
    inEach(start) {
      for (const engine of engines()) {
        declare(`${engine} starts`, () => start(engine));
        for (const [title, work] of tests) declare(`${engine}: ${title}`, () => work(engine));
      }
    },
  };
}
