// The pages of the guide, in reading order, and the parts that every page shares. Put together when
// the site is built, so that a page is whole before any script runs.

import { readFileSync } from "node:fs";

interface Page {
  /** Its folder under `guide/`, and its module under `src/guide/`. */
  name: string;
  /** In the navigation. */
  short: string;
  title: string;
  about: string;
}

export const pages: Page[] = [
  { name: "initial-sync", short: "Initial sync", title: "Initial app sync", about: "At least one fetch when the app starts, and an app that goes on without it." },
  { name: "login", short: "Login", title: "Login and relogin", about: "“Syncing latest data…” first, then the data; nothing moves while nobody is signed in." },
  { name: "metadata", short: "Metadata", title: "Sync metadata", about: "Welcome back or first time, conflicts that wait, the user's devices, who is ahead." },
  { name: "fresh-data", short: "Fresh data", title: "Force fresh data", about: "Forget what was synced, pull everything, and check that it is everything." },
  { name: "status", short: "Status", title: "Status monitoring", about: "A feed of snapshots; progress is shown once it is real." },
  { name: "background", short: "Background", title: "Background sync", about: "The engine syncs by itself, at an interval and when something happens." },
  { name: "options", short: "Options", title: "Manual sync with options", about: "Only pull, only push, and how much at a time." },
  { name: "errors", short: "Errors", title: "Loading state and errors", about: "Success, failure, exceptions; offline, signed out, too slow. Each ends, and each says something." },
];

const part = (name: string): string => readFileSync(new URL(`parts/${name}.html`, import.meta.url), "utf8").trimEnd();

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Fills in `<!-- part:NAME -->`. `path` is the page's own, below the site's root. */
export function withParts(html: string, path: string): string {
  const inGuide = /^\/?guide\/(?:(?<name>[a-z-]+)\/)?index\.html$/.exec(path);
  const name = inGuide?.groups?.["name"];
  const up = name ? "../../" : inGuide ? "../" : "";
  const parts: Record<string, () => string> = {
    head: () => part("head"),
    sprite: () => part("sprite"),
    top: () => part("top").replaceAll("%UP%", up),
    nav: () => nav(name, up),
    turn: () => turn(name, up),
    contents: () => contents(up),
  };
  return html.replaceAll(/<!-- part:([a-z]+) -->/g, (_, wanted: string) => {
    const make = parts[wanted];
    if (!make) throw new Error(`${path} asks for a part "${wanted}" that does not exist`);
    return make();
  });
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
  return `<nav class="turn" aria-label="Next and previous">${link(pages[at - 1], "prev", "Before")}${link(pages[at + 1], "next", "Next")}</nav>`;
}

function contents(up: string): string {
  const item = (page: Page): string =>
    `<li><a href="${up}guide/${page.name}/"><strong>${escape(page.title)}</strong><span>${escape(page.about)}</span></a></li>`;
  return `<ol class="contents" role="list">${pages.map(item).join("")}</ol>`;
}
