// Draws bar charts as SVG, light and dark, from the JSON of a run.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { names } from "./report.mjs";
import { round } from "./stats.mjs";

const WIDTH = 720;
const LEFT = 150;
const RIGHT = 190;
const BAR = 20;
const GAP = 10;
const TOP = 62;

/** The charts; `metric` selects the rows. Shorter bars are better. */
const CHARTS = [
  { file: "first-pull", id: "B1", metric: "first pull", title: "First pull of 10,000 tasks", unit: "ms" },
  { file: "first-pull-large", id: "B2", metric: "first pull", title: "First pull of 100,000 tasks", unit: "ms" },
  { file: "create", id: "B3", metric: "create, relaxed", title: "One local create, awaited", unit: "ms" },
  { file: "create-many", id: "B4", metric: "in one call", title: "1,000 local creates in one call", unit: "ms" },
  { file: "push", id: "B5", metric: ["push", "POST of the same bodies"], title: "Push of 1,000 creates", unit: "ms" },
  { file: "open", id: "B6", metric: "open, readAll of 10,000", title: "Cold open, then all of 10,000 tasks", unit: "ms" },
  { file: "open-one", id: "B6", metric: "open, read one of 100,000", title: "Cold open, then one of 100,000 tasks", unit: "ms" },
  { file: "size", id: "B10", metric: "brotli", title: "What an app loads, brotli", unit: "KiB" },
];

/** Writes the charts that have figures. Returns their file names. */
export async function draw({ date, machine, rows }, folder) {
  await mkdir(folder, { recursive: true });
  const written = [];
  for (const chart of CHARTS) {
    const metrics = [chart.metric].flat();
    const bars = rows.filter((row) => row.id === chart.id && metrics.includes(row.metric));
    if (bars.length < 2) continue;
    await writeFile(join(folder, `${chart.file}.svg`), svg(chart, bars, `${date.slice(0, 10)} · ${machine}`));
    written.push(`${chart.file}.svg`);
  }
  return written;
}

export function svg({ title, unit }, rows, footnote) {
  const bars = [...rows].sort((a, b) => a.median - b.median);
  const space = WIDTH - LEFT - RIGHT;
  const longest = bars.at(-1).median;
  // A very long bar is cut, so that the others stay visible.
  const scale = Math.min(longest, bars[Math.floor(bars.length / 2)].median * 6);
  const foot = lines(footnote, 110);
  const height = TOP + bars.length * (BAR + GAP) + 14 + foot.length * 14;
  const described = bars.map((bar) => `${names[bar.who] ?? bar.who} ${amount(bar, unit)}`).join(", ");
  const drawn = bars.map((bar, at) => {
    const y = TOP + at * (BAR + GAP);
    const cut = bar.median > scale;
    const length = Math.max(2, (Math.min(bar.median, scale) / scale) * space);
    const middleOf = y + BAR / 2;
    const end = LEFT + length;
    const mark = cut ? `<path class="cut" d="M${end - 26} ${y - 2} l6 ${BAR + 4} M${end - 19} ${y - 2} l6 ${BAR + 4}"/>` : "";
    const note = [bar.durable === false ? "not durable" : "", bar.who === "bare" ? "no database" : ""].filter(Boolean).join(", ");
    return `<text class="who${bar.who === "datum" ? " ours" : ""}" x="${LEFT - 10}" y="${middleOf}">${escaped(names[bar.who] ?? bar.who)}</text>
<rect class="${bar.who === "datum" ? "us" : bar.durable === false ? "later" : "peer"}" x="${LEFT}" y="${y}" width="${round(length)}" height="${BAR}" rx="2"/>${mark}
<text class="amount" x="${round(end + 8)}" y="${middleOf}">${amount(bar, unit)}${note ? `<tspan class="note"> ${note}</tspan>` : ""}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(`${title}: ${described}`)}">
<style>
  text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; dominant-baseline: central; }
  .title { font-size: 17px; font-weight: 600; } .sub, .note, .foot { fill: #656d76; font-size: 12px; } .foot { font-size: 11px; }
  .who { text-anchor: end; } .ours { font-weight: 600; } .amount { font-variant-numeric: tabular-nums; }
  .us { fill: #0969da; } .peer { fill: #afb8c1; } .later { fill: #d8dee4; } .cut { stroke: #fff; stroke-width: 2; }
  .paper { fill: #fff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .sub, .note, .foot { fill: #8d96a0; } .us { fill: #4493f8; } .peer { fill: #6e7681; } .later { fill: #3d444d; } .cut { stroke: #0d1117; } .paper { fill: #0d1117; }
  }
</style>
<rect class="paper" width="${WIDTH}" height="${height}" rx="6"/>
<text class="title" x="16" y="24">${escaped(title)}</text>
<text class="sub" x="16" y="45">${unit === "KiB" ? "Kibibytes" : "Milliseconds, median"}; less is better</text>
${drawn.join("\n")}
${foot.map((line, at) => `<text class="foot" x="16" y="${TOP + bars.length * (BAR + GAP) + 12 + at * 14}">${escaped(line)}</text>`).join("\n")}
</svg>
`;
}

function amount({ median }, unit) {
  const text = median >= 100 ? Math.round(median).toLocaleString("en") : median >= 10 ? median.toFixed(1) : median.toPrecision(2);
  return `${text} ${unit}`;
}

/** Wraps a text into lines of at most `width` characters. */
function lines(text, width) {
  const made = [""];
  for (const word of text.split(" ")) {
    if (made.at(-1).length + word.length + 1 > width) made.push("");
    made[made.length - 1] += (made.at(-1) ? " " : "") + word;
  }
  return made;
}

const escaped = (text) => text.replace(/[&<>"]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[character]);
