// The guide's pages in reading order, and the parts that pages share. The build inserts the parts, so
// that a page is complete before any script runs.

import { readFileSync } from "node:fs";

interface Page {
  /** The name of its folder in `guide/` and of its module in `src/guide/`. */
  name: string;
  /** The title in the navigation. */
  short: string;
  title: string;
  about: string;
}

export const pages: Page[] = [
  { name: "initial-sync", short: "Initial sync", title: "Initial app sync", about: "Pull once when the app starts, and continue if that fails." },
  { name: "login", short: "Login", title: "Login and relogin", about: "“Syncing latest data…” first, then the data. Nothing syncs while nobody is signed in." },
  { name: "metadata", short: "Metadata", title: "Sync metadata", about: "First visit or return, unresolved conflicts, the user's devices, and which side is newer." },
  { name: "fresh-data", short: "Fresh data", title: "Force fresh data", about: "Clear the sync state, pull everything, and verify the result." },
  { name: "status", short: "Status", title: "Status monitoring", about: "A feed of snapshots, with progress as soon as there is a real figure." },
  { name: "background", short: "Background", title: "Background sync", about: "The engine syncs automatically: at an interval, and after writes and other events." },
  { name: "options", short: "Options", title: "Manual sync with options", about: "Pull only, push only, and batch sizes." },
  { name: "errors", short: "Errors", title: "Loading state and errors", about: "Success, failure, exceptions; offline, signed out, timed out. Every sync ends with a message." },
  { name: "devtools", short: "Devtools", title: "Seeing what the sync does", about: "A panel in the page: why a write waits, what both sides have, and how it is mended." },
  { name: "sharing", short: "Sharing", title: "Sharing a list", about: "Two users and one list: invite, let read or write, remove while offline with edits." },
  { name: "supabase", short: "Supabase", title: "On Supabase", about: "Offline sync for a project of your own: its tables, policies and accounts." },
];

/** The apps of the frameworks: one page each, with the same list. */
export const frameworks = [
  { name: "react", title: "React", source: "react.tsx" },
  { name: "vue", title: "Vue", source: "vue.vue" },
  { name: "svelte", title: "Svelte", source: "svelte.svelte" },
  { name: "solid", title: "Solid", source: "solid.tsx" },
];

const file = (name: string): string => readFileSync(new URL(`parts/${name}.html`, import.meta.url), "utf8").trimEnd();

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

const LAYOUT = "<!-- layout:guide-page -->\n";
const FRAMEWORK = "<!-- layout:framework-page -->\n";

/**
 * Completes a page: puts the content of a guide page into the layout, and replaces each `<!-- part:NAME -->`. `path` is
 * the page's path below the site's root.
 */
export function completePage(html: string, path: string): string {
  const match = /^\/?(?:guide|frameworks)\/(?:(?<name>[a-z-]+)\/)?index\.html$/.exec(path);
  const name = match?.groups?.["name"];
  const up = name ? "../../" : match ? "../" : "";
  const generated: Record<string, () => string> = {
    top: () => file("top").replaceAll("%UP%", up),
    nav: () => nav(name, up),
    turn: () => turn(name, up),
    contents: () => contents(up),
    frameworks: () => frameworkNav(name, up),
  };
  const whole = html.startsWith(LAYOUT) ? guidePage(html.slice(LAYOUT.length), name) : html.startsWith(FRAMEWORK) ? frameworkPage(name) : html;
  return whole.replaceAll(/<!-- part:([a-z-]+) -->/g, (_, part: string) => generated[part]?.() ?? file(part));
}

function guidePage(content: string, name: string | undefined): string {
  const page = pages.find((page) => page.name === name);
  if (!page) throw new Error(`guide/${name} is not in the list of pages`);
  const values: Record<string, string> = { TITLE: escape(page.title), NAME: page.name, CONTENT: content.trimEnd() };
  return file("guide-page").replaceAll(/%([A-Z]+)%/g, (_, key: string) => values[key] ?? "");
}

function frameworkPage(name: string | undefined): string {
  const page = frameworks.find((page) => page.name === name);
  if (!page) throw new Error(`frameworks/${name} is not in the list of pages`);
  const values: Record<string, string> = { TITLE: page.title, NAME: page.name };
  return file("framework-page").replaceAll(/%([A-Z]+)%/g, (_, key: string) => values[key] ?? "");
}

function frameworkNav(current: string | undefined, up: string): string {
  const links = frameworks.map((page) => `<li><a href="${up}frameworks/${page.name}/"${page.name === current ? ' aria-current="page"' : ""}>${page.title}</a></li>`);
  return `<nav class="chapters" aria-label="Frameworks"><ul role="list">${links.join("")}</ul></nav>`;
}

function nav(current: string | undefined, up: string): string {
  const link = (href: string, text: string, here: boolean): string =>
    `<li><a href="${href}"${here ? ' aria-current="page"' : ""}>${escape(text)}</a></li>`;
  const links = [
    link(`${up}guide/`, "Guide", current === undefined),
    ...pages.map((page) => link(`${up}guide/${page.name}/`, page.short, page.name === current)),
  ];
  return `<nav class="chapters" aria-label="The guide"><ul role="list">${links.join("")}</ul></nav>`;
}

function turn(current: string | undefined, up: string): string {
  const at = pages.findIndex((page) => page.name === current);
  const link = (page: Page | undefined, rel: "prev" | "next", word: string): string =>
    page ? `<a rel="${rel}" href="${up}guide/${page.name}/"><small>${word}</small>${escape(page.title)}</a>` : "<span></span>";
  return `<nav class="turn" aria-label="Previous and next">${link(pages[at - 1], "prev", "Previous")}${link(pages[at + 1], "next", "Next")}</nav>`;
}

function contents(up: string): string {
  const item = (page: Page): string =>
    `<li><a href="${up}guide/${page.name}/"><strong>${escape(page.title)}</strong><span>${escape(page.about)}</span></a></li>`;
  return `<ol class="contents" role="list">${pages.map(item).join("")}</ol>`;
}
