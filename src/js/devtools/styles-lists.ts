/** The looks of what is in the panels: lists, tables, notes, timelines. The height of a row is that of `ROW`. */

import { ROW } from "./list.js";

export const LISTS = `
.split { flex: 1 1 auto; display: grid; grid-template-columns: minmax(0, 1.35fr) minmax(0, 1fr); gap: 0; min-height: 120px; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.master { min-width: 0; min-height: 0; overflow: hidden; }
.detail { display: flex; flex-direction: column; gap: 8px; min-width: 0; padding: 10px 12px; overflow: auto; border-inline-start: 1px solid var(--line); background: var(--raised); }
.detail > * { flex: none; }

.list { display: grid; grid-template-rows: auto minmax(0, 1fr); height: 100%; }
.rows { overflow: auto; }
.space { position: relative; overflow: hidden; }
.window { will-change: transform; }
.row { display: grid; gap: 10px; align-items: center; height: ${ROW}px; padding: 0 10px; border-block-end: 1px solid color-mix(in oklab, var(--line) 55%, transparent); cursor: default; }
.row > * { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row > .pill { justify-self: start; max-width: 100%; }
.row:not(.head):hover { background: var(--hover); }
.row[aria-selected="true"], .row[aria-selected="true"]:hover { background: var(--chosen); }
.row.bad > :last-child { color: var(--bad); }
.head { border-color: var(--line); background: var(--raised); color: var(--soft); font-size: 11px; overflow-y: auto; scrollbar-gutter: stable; scrollbar-width: thin; }
.rows { scrollbar-gutter: stable; scrollbar-width: thin; }
.outbox-row { grid-template-columns: 70px 52px minmax(60px, 0.7fr) minmax(70px, 0.8fr) 64px 36px minmax(110px, 1.6fr); }
.conflict-row { grid-template-columns: minmax(60px, 0.5fr) minmax(70px, 0.6fr) minmax(120px, 2fr) 64px; }
.letter-row { grid-template-columns: minmax(80px, 0.8fr) 52px minmax(60px, 0.5fr) minmax(70px, 0.6fr) 64px minmax(110px, 1.6fr); }
.entity-row { grid-template-columns: 70px 84px 52px 64px minmax(120px, 1fr); }
.cycle-row { grid-template-columns: 62px 60px minmax(86px, 1fr) 56px 50px 50px 60px 60px minmax(78px, 0.6fr); }
.log-row { grid-template-columns: 64px 52px 56px minmax(140px, 1fr); }

.pill { display: inline-block; padding: 0 7px; border-radius: 999px; background: var(--hover); color: var(--soft); font-size: 11px; font-weight: 600; line-height: 18px; white-space: nowrap; }
.pill.good { background: var(--good-tint); color: var(--good); }
.pill.info { background: var(--info-tint); color: var(--info); }
.pill.warn { background: var(--warn-tint); color: var(--warn); }
.pill.bad { background: var(--bad-tint); color: var(--bad); }

.facts { display: grid; flex: none; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 6px 16px; }
.facts > div { min-width: 0; }
dt { color: var(--soft); font-size: 11px; }
dd { overflow-wrap: anywhere; font-weight: 550; }
dd .mono { font-weight: 400; }

.note { flex: none; display: flex; flex-wrap: wrap; align-items: center; gap: 6px 12px; padding: 7px 10px; border-radius: 6px; border-inline-start: 3px solid var(--edge); background: var(--hover); }
.note > p { flex: 1 1 20em; overflow-wrap: anywhere; }
.note > .actions { flex: 0 1 auto; }
.note.good { border-color: var(--good); background: var(--good-tint); }
.note.info { border-color: var(--info); background: var(--info-tint); }
.note.warn { border-color: var(--warn); background: var(--warn-tint); }
.note.bad { border-color: var(--bad); background: var(--bad-tint); }
.empty { display: grid; place-content: center; gap: 2px; min-height: 84px; padding: 16px; color: var(--soft); text-align: center; }
.empty strong { color: var(--ink); }
.empty p { max-width: 46em; }

pre { max-height: 340px; padding: 8px 10px; overflow: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 2; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 12px; }
th, td { padding: 4px 8px; border-block-end: 1px solid var(--line); text-align: start; vertical-align: top; overflow-wrap: anywhere; }
thead th { color: var(--soft); font-size: 11px; font-weight: 500; }
tbody th { font-weight: 500; }
.beside { flex: none; }
.beside th:first-child { width: 26%; }
.sides th:first-child { width: 20%; }
.clash > * { background: var(--warn-tint); }
.taken { box-shadow: inset 2px 0 var(--accent); }
label { display: flex; gap: 6px; align-items: baseline; cursor: pointer; }
label > :last-child { min-width: 0; }
input[type="radio"] { margin: 0; accent-color: var(--accent); }
summary { cursor: pointer; }

.now { display: grid; flex: none; gap: 10px; }
.headline { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 6px 12px; align-items: center; }
.headline strong { font-size: 15px; font-weight: 650; }
.headline strong::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-inline-end: 9px; border-radius: 50%; background: var(--edge); vertical-align: 1px; }
.headline.good strong::before { background: var(--good); }
.headline.info strong::before { background: var(--info); }
.headline.warn strong::before { background: var(--warn); }
.headline.bad strong::before { background: var(--bad); }
progress { grid-row: 2; grid-column: 1 / -1; width: 100%; height: 3px; border: 0; border-radius: 2px; overflow: hidden; background: var(--line); appearance: none; }
progress.still { visibility: hidden; }
progress::-webkit-progress-bar { background: var(--line); }
progress::-webkit-progress-value { background: var(--accent); }
progress::-moz-progress-bar { background: var(--accent); }
meter { flex: none; width: 100%; height: 10px; }

.steps { display: grid; gap: 2px; }
.step { display: grid; grid-template-columns: 76px minmax(60px, 1fr) 58px minmax(90px, 1.5fr); gap: 8px; align-items: center; min-height: 20px; }
.step > * { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.step.request > :first-child, .step.commit > :first-child { padding-inline-start: 12px; color: var(--soft); }
.step.phase > :first-child { font-weight: 650; }
.track { position: relative; height: 8px; border-radius: 4px; background: var(--hover); }
.part { position: absolute; inset: 0 auto 0 var(--from); width: max(2px, var(--share)); border-radius: 4px; background: var(--accent); }
.step.request .part { background: color-mix(in oklab, var(--accent) 60%, var(--ground)); }
.step.commit .part { background: var(--edge); }
.step.bad .part { background: var(--bad); }
.step.warn .part { background: var(--warn); }
.history li { padding: 1px 0; }
time { color: var(--soft); }
.decided { display: grid; gap: 2px; }
.decided li { padding-inline-start: 12px; color: var(--soft); overflow-wrap: anywhere; }

@container (max-width: 760px) {
  .headline { grid-template-columns: minmax(0, 1fr); }
  progress { grid-row: auto; }
  .split { grid-template: minmax(110px, 1fr) minmax(110px, 1.2fr) / minmax(0, 1fr); min-height: 320px; }
  .detail { border-inline-start: 0; border-block-start: 1px solid var(--line); }
  .cycle-row { grid-template-columns: 62px 62px minmax(60px, 1fr) 56px 44px 44px; }
  .cycle-row > :nth-child(n + 7) { display: none; }
  .outbox-row { grid-template-columns: 68px 50px minmax(50px, 0.7fr) 62px 30px minmax(100px, 1.6fr); }
  .outbox-row > :nth-child(4) { display: none; }
  .letter-row { grid-template-columns: minmax(70px, 0.8fr) 50px minmax(50px, 0.6fr) minmax(100px, 1.6fr); }
  .letter-row > :nth-child(4), .letter-row > :nth-child(5) { display: none; }
}
`;
