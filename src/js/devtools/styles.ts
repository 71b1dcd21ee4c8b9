/** The looks of the panel. As a constructed sheet: an element `style` would be refused by many a content security policy. */

import { LISTS } from "./styles-lists.js";

const FRAME = `
:host {
  /* Important, so that no rule of the page for all elements, or for all in the body, moves or hides it. */
  all: initial !important;
  color-scheme: light dark !important;
  --ground: light-dark(#ffffff, #17191c);
  --raised: light-dark(#f7f7f5, #1e2125);
  --hover: light-dark(#f0f0ed, #262a2f);
  --chosen: light-dark(#e6eafc, #262c4d);
  --line: light-dark(#e4e3df, #2e3338);
  --edge: light-dark(#8b8880, #6d747b);
  --ink: light-dark(#1c2024, #e9ebed);
  --soft: light-dark(#5a6066, #a3abb2);
  --accent: light-dark(#4353c9, #9aa8ff);
  --on-accent: light-dark(#ffffff, #10131f);
  --good: light-dark(#1d6f42, #74d39c);
  --good-tint: light-dark(#e3f4ea, #15321f);
  --info: light-dark(#4353c9, #9aa8ff);
  --info-tint: light-dark(#eceefb, #23284a);
  --warn: light-dark(#8a5300, #f0bd6a);
  --warn-tint: light-dark(#fdf1dc, #392a10);
  --bad: light-dark(#b3261e, #ff9d94);
  --bad-tint: light-dark(#fdeceb, #401c19);
  --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
:host([theme="light"]) { color-scheme: light !important; }
:host([theme="dark"]) { color-scheme: dark !important; }
:host([hidden]) { display: none !important; }
*, *::before, *::after { box-sizing: border-box; }
.body { font: 12.5px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; color: var(--ink); font-variant-numeric: tabular-nums; text-align: start; direction: ltr; }
h2, h3, p, dl, dd, ol, ul, pre { margin: 0; padding: 0; }
h2 { font-size: 15px; }
h3 { margin-block-start: 4px; font-size: 12.5px; font-weight: 650; overflow-wrap: anywhere; }
ol, ul { list-style: none; }
button, select, input, textarea { font: inherit; color: inherit; }
.mono, pre, textarea { font-family: var(--mono); font-size: 11.5px; }
.soft { color: var(--soft); }
.wrong { color: var(--bad); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; border-radius: 4px; }

.launcher { position: fixed; inset: auto 16px 16px auto; z-index: 2147483000; padding: 6px 14px; border: 1px solid var(--line); border-radius: 999px; background: var(--ground); font-weight: 600; cursor: pointer; box-shadow: 0 4px 18px -6px rgb(0 0 0 / 35%); }
.launcher:hover { background: var(--hover); }
.launcher:focus-visible { outline-offset: 2px; border-radius: 999px; }

.dock { position: fixed; z-index: 2147483000; display: grid; grid-template: auto auto auto minmax(0, 1fr) / minmax(0, 1fr); background: var(--ground); box-shadow: 0 0 32px -8px rgb(0 0 0 / 35%); }
.dock.bottom { inset: auto 0 0 0; height: var(--size); border-block-start: 1px solid var(--line); }
.dock.right { inset: 0 0 0 auto; width: var(--size); border-inline-start: 1px solid var(--line); }
.grip { position: absolute; z-index: 2; background: transparent; touch-action: none; }
.grip:hover, .grip:focus-visible { background: var(--accent); outline: none; }
.bottom > .grip { inset: -3px 0 auto 0; height: 6px; cursor: ns-resize; }
.right > .grip { inset: 0 auto 0 -3px; width: 6px; cursor: ew-resize; }

header { grid-row: 2; display: flex; flex-wrap: wrap; align-items: stretch; min-height: 34px; border-block-end: 1px solid var(--line); background: var(--raised); }
.tab-list { display: flex; flex: 1 1 auto; flex-wrap: wrap; min-width: 0; }
.tab { flex: none; display: flex; align-items: center; gap: 6px; padding: 0 11px; min-height: 34px; border: 0; border-block-end: 2px solid transparent; background: none; color: var(--soft); font-weight: 550; white-space: nowrap; cursor: pointer; }
.tab:hover { background: var(--hover); color: var(--ink); }
.tab[aria-selected="true"] { border-color: var(--accent); color: var(--ink); }
.badge { min-width: 18px; padding: 0 5px; border-radius: 999px; background: var(--info-tint); color: var(--info); font-size: 11px; line-height: 17px; text-align: center; }
.conflicts > .badge { background: var(--warn-tint); color: var(--warn); }
.deadLetters > .badge { background: var(--bad-tint); color: var(--bad); }
.tools { display: flex; flex: 0 1 auto; align-items: center; gap: 4px; min-width: 0; min-height: 34px; padding: 0 8px; margin-inline-start: auto; }
.tools > select { min-width: 4em; max-width: 16em; }
.who { max-width: 16em; padding: 0 6px; overflow: hidden; color: var(--soft); text-overflow: ellipsis; white-space: nowrap; }
.tool { flex: none; min-height: 26px; padding: 0 8px; border: 0; border-radius: 5px; background: none; color: var(--soft); cursor: pointer; }
.tool:hover:not([aria-disabled]) { background: var(--hover); color: var(--ink); }
[aria-disabled] { opacity: 0.5; cursor: default; }
.tool.icon { width: 28px; padding: 0; }

.notice { grid-row: 3; display: flex; align-items: center; gap: 10px; padding: 0 12px; }
.notice:has(span) { padding-block: 5px; border-block-end: 1px solid var(--line); background: var(--info-tint); }
.notice.bad { background: var(--bad-tint); color: var(--bad); }
.notice > span { flex: 1; overflow-wrap: anywhere; max-height: 6em; overflow-y: auto; }

.panel { grid-row: 4; display: flex; flex-direction: column; gap: 8px; min-height: 0; padding: 10px 12px; overflow: auto; container-type: inline-size; }
.bar, .actions { display: flex; flex: none; flex-wrap: wrap; align-items: center; gap: 6px; }
.button { min-height: 26px; padding: 0 10px; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); font-weight: 550; cursor: pointer; }
.button:hover:not([aria-disabled]) { background: var(--hover); }
.button:focus-visible { outline-offset: 1px; border-radius: 6px; }
.button.primary { border-color: transparent; background: var(--accent); color: var(--on-accent); }
.button.primary:hover:not([aria-disabled]) { background: color-mix(in oklab, var(--accent) 86%, var(--ink)); }
.button.danger { border-color: color-mix(in oklab, var(--bad) 45%, var(--line)); color: var(--bad); }
.button.link { border: 0; background: none; color: inherit; text-decoration: underline; }
select, input[type="search"] { min-height: 26px; padding: 0 6px; border: 1px solid var(--edge); border-radius: 6px; background: var(--ground); }
.search { flex: 1 1 16em; min-width: 10em; }
.search::placeholder { color: var(--soft); opacity: 1; }
textarea { width: 100%; padding: 8px; border: 1px solid var(--edge); border-radius: 6px; background: var(--ground); line-height: 1.5; resize: vertical; }
textarea[aria-invalid="true"] { border-color: var(--bad); }
.editor { display: grid; gap: 6px; }

dialog { width: min(440px, calc(100vw - 40px)); padding: 18px; border: 1px solid var(--line); border-radius: 12px; background: var(--ground); color: var(--ink); box-shadow: 0 12px 48px -12px rgb(0 0 0 / 50%); }
dialog[open] { display: grid; gap: 12px; }
dialog::backdrop { background: rgb(0 0 0 / 35%); }
dialog .bar { justify-content: flex-end; }

@media print { :host { display: none !important; } }
@media (forced-colors: active) {
  .tab[aria-selected="true"], .row[aria-selected="true"] { outline: 2px solid Highlight; outline-offset: -2px; }
}
`;

const sheets: CSSStyleSheet[] = [];

/** Gives a shadow root the looks. */
export function adopt(root: ShadowRoot): void {
  if (sheets.length === 0) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(FRAME + LISTS);
    sheets.push(sheet);
  }
  root.adoptedStyleSheets = sheets;
}
