// What every page of the guide has: the user, the code beside the stage, the log, and buttons that say
// that they are at work.

import type { HttpRemote } from "datum-sync";

import type { Task } from "../device.ts";
import { find, make, setText } from "../dom.ts";
import { paint } from "../paint.ts";
import { wireTheme } from "../theme.ts";
import { currentUser } from "../user.ts";
import { time } from "../words.ts";
import { Line } from "./line.ts";
import { SecondDevice } from "./second.ts";
import { Session } from "./session.ts";

type Tone = "info" | "good" | "warn" | "bad";

export class Stage {
  /** Each page has a user of its own, so that no page finds what another left behind. */
  readonly userId: string;
  /** Of this page's databases. */
  readonly name: string;
  readonly line = new Line();
  readonly session: Session;
  #second: SecondDevice | undefined;

  constructor(page: string, source: string) {
    dressPage();
    showCode(page, source);
    this.userId = `${currentUser()}/${page}`;
    this.name = `guide-${page}`;
    this.session = new Session(this.userId, this.line.network, () => this.say("The token had expired: a new one was fetched", "info"));
    const network = document.querySelector<HTMLButtonElement>("[data-testid=network]");
    if (network) this.#wireNetwork(network);
  }

  /** What the page's engine talks to. */
  get remote(): HttpRemote {
    return { url: location.origin, headers: this.session.headers, fetch: this.line.fetch };
  }

  get second(): SecondDevice {
    return (this.#second ??= new SecondDevice(this.userId, this.name));
  }

  /** Another user's second device, or the same user's again. */
  async secondOf(userId: string): Promise<SecondDevice> {
    if (this.#second?.userId !== userId) {
      await this.#second?.close();
      this.#second = new SecondDevice(userId, this.name);
    }
    return this.second;
  }

  /** Runs `work` at each press; the button is busy meanwhile, and what goes wrong is said in the log. */
  press(testid: string, work: () => Promise<unknown>): void {
    const button = find<HTMLButtonElement>(document, `[data-testid=${testid}]`);
    // Before the engine is open nobody hears a press.
    button.dataset["ready"] = "";
    button.addEventListener("click", () => {
      // A button that is disabled would lose the focus: this one stays where the keyboard left it.
      if (button.getAttribute("aria-disabled") === "true") return;
      button.setAttribute("aria-disabled", "true");
      button.setAttribute("aria-busy", "true");
      void this.attempt(work).finally(() => {
        button.removeAttribute("aria-disabled");
        button.removeAttribute("aria-busy");
      });
    });
  }

  /** Runs `work`; a failure is said in the log. */
  async attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), "bad");
    }
  }

  /** A line in the log. */
  say(text: string, tone: Tone = "info"): void {
    const log = find(document, "[data-testid=log]");
    log.append(make("p", { "data-tone": tone }, make("time", {}, time(Date.now())), " ", make("span", {}, text)));
    while (log.children.length > 40) log.firstElementChild?.remove();
    log.scrollTop = log.scrollHeight;
  }

  /** The log as a pattern takes it. */
  readonly log = {
    info: (text: string): void => this.say(text),
    warn: (text: string): void => this.say(text, "warn"),
  };

  #wireNetwork(button: HTMLButtonElement): void {
    const { network } = this.line;
    button.addEventListener("click", () => (network.on = !network.on));
    network.addEventListener("change", () => {
      button.setAttribute("aria-checked", String(network.on));
      setText(find(button, ".switch-state"), network.on ? "on" : "off");
      button.closest(".device")?.classList.toggle("is-offline", !network.on);
    });
  }
}

/** A list that only shows: newest first. */
export function showTasks(list: HTMLElement, tasks: readonly Task[], most = 6): void {
  const sorted = [...tasks].sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  const rows = sorted.slice(0, most).map((task) =>
    make("li", { "data-waiting": String(task.version === 0) }, make("span", {}, task.title), make("small", {}, task.version === 0 ? "waiting" : `v${task.version}`)),
  );
  if (sorted.length > most) rows.push(make("li", { class: "rest" }, `and ${sorted.length - most} more`));
  if (sorted.length === 0) rows.push(make("li", { class: "rest" }, "Nothing here yet."));
  list.replaceChildren(...rows);
}

/** The theme, the user, and links that keep the user. */
export function dressPage(): void {
  wireTheme(find<HTMLButtonElement>(document, "#theme"));
  setText(find(document, "#user"), currentUser());
  const asked = new URLSearchParams(location.search).get("user");
  if (asked === null) return;
  for (const link of document.querySelectorAll<HTMLAnchorElement>("a[href]")) {
    if (!link.getAttribute("href")?.startsWith("#")) link.search = `?user=${encodeURIComponent(asked)}`;
  }
}

/** The module that runs on this page, as its file has it, but for the marks of the parts that README shows. */
function showCode(page: string, source: string): void {
  const code = source
    .split("\n")
    .filter((line) => !/^\/\/ #(?:end)?region\b/.test(line))
    .join("\n")
    .trim();
  setText(find(document, "#code-file"), `www/src/patterns/${page}.ts`);
  find(document, "#code-text").append(...paint(code));
  const copy = find<HTMLButtonElement>(document, "#copy");
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(code).then(
      () => setText(copy, "Copied"),
      () => setText(copy, "Not copied"),
    );
  });
}
