// B10: the size of what an app loads. All packages are bundled, minified and compressed in the same way.
import { sizes } from "../lib/build.mjs";

export const b10 = {
  id: "B10",
  title: "size of the package as an app loads it",
  async run(bench) {
    const { report } = bench;
    const all = await sizes();
    const who = new Set(bench.who(Object.keys(all)));
    for (const how of ["brotli", "gzip", "minified"]) {
      for (const [one, size] of Object.entries(all)) if (who.has(one)) report.row("B10", one, how, "KiB", [size[how] / 1024]);
    }
    report.check("B10", "wasm and JavaScript, brotli (KiB)", report.find("B10", "datum", "brotli"), 110, "max");
  },
};
