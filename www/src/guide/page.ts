// The parts of every guide page: user, code, log, and buttons that show when they are busy.

import type { HttpRemote } from "datum-sync";

import type { Task } from "../device.ts";
import { find, make, setText } from "../dom.ts";
import { highlight } from "../highlight.ts";
import { time } from "../messages.ts";
import { wireTheme } from "../theme.ts";
import { currentUser } from "../user.ts";
import { NetworkSim } from "./network-sim.ts";
import { SecondDevice } from "./second-device.ts";
import { Session } from "./session.ts";

type Tone = "info" | "good" | "warn" | "bad";

export class GuidePage {
  /** Each page has its own user, so that pages do not see each other's data. */
  readonly userId: string;
  /** The name of this page's databases. */
  readonly name: string;
  readonly networkSim = new NetworkSim();
  readonly session: Session;
  #secondDevice: SecondDevice | undefined;

  constructor(page: string, source: string) {
    setUpPage();
    showCode(page, source);
    this.userId = `${currentUser()}/${page}`;
    this.name = `guide-${page}`;
    this.session = new Session(this.userId, this.networkSim.network, () => this.print("The token had expired; a new one was fetched", "info"));
    const network = document.querySelector<HTMLButtonElement>("[data-testid=network]");
    if (network) this.#wireNetwork(network);
  }

  /** The remote of the page's engine. */
  get remote(): HttpRemote {
    return { url: location.origin, headers: this.session.headers, fetch: this.networkSim.fetch };
  }

  get secondDevice(): SecondDevice {
    return (this.#secondDevice ??= new SecondDevice(this.userId, this.name));
  }

  /** Returns the second device of `userId`, and closes that of another user. */
  async secondDeviceOf(userId: string): Promise<SecondDevice> {
    if (this.#secondDevice?.userId !== userId) {
      await this.#secondDevice?.close();
      this.#secondDevice = new SecondDevice(userId, this.name);
    }
    return this.secondDevice;
  }

  /** Runs `work` at each press. The button is busy meanwhile; errors go to the log. */
  onPress(testid: string, work: () => Promise<unknown>): void {
    const button = find<HTMLButtonElement>(document, `[data-testid=${testid}]`);
    // Tests wait for this: a press before it would be lost.
    button.dataset["ready"] = "";
    button.addEventListener("click", () => {
      // A disabled button would lose the focus.
      if (button.getAttribute("aria-disabled") === "true") return;
      button.setAttribute("aria-disabled", "true");
      button.setAttribute("aria-busy", "true");
      void this.attempt(work).finally(() => {
        button.removeAttribute("aria-disabled");
        button.removeAttribute("aria-busy");
      });
    });
  }

  /** Runs `work`; errors go to the log. */
  async attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.print(error instanceof Error ? error.message : String(error), "bad");
    }
  }

  /** Adds a line to the log. */
  print(text: string, tone: Tone = "info"): void {
    const log = find(document, "[data-testid=log]");
    log.append(make("p", { "data-tone": tone }, make("time", {}, time(Date.now())), " ", make("span", {}, text)));
    while (log.children.length > 40) log.firstElementChild?.remove();
    log.scrollTop = log.scrollHeight;
  }

  /** The log in the form that patterns expect. */
  readonly log = {
    info: (text: string): void => this.print(text),
    warn: (text: string): void => this.print(text, "warn"),
  };

  #wireNetwork(button: HTMLButtonElement): void {
    const { network } = this.networkSim;
    button.addEventListener("click", () => (network.on = !network.on));
    network.addEventListener("change", () => {
      button.setAttribute("aria-checked", String(network.on));
      setText(find(button, ".switch-state"), network.on ? "on" : "off");
      button.closest(".device")?.classList.toggle("is-offline", !network.on);
    });
  }
}

/** Shows a read-only list of tasks, newest first. */
export function showTasks(list: HTMLElement, tasks: readonly Task[], limit = 6): void {
  const sorted = [...tasks].sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  const rows = sorted.slice(0, limit).map((task) =>
    make("li", { "data-waiting": String(task.version === 0) }, make("span", {}, task.title), make("small", {}, task.version === 0 ? "waiting" : `v${task.version}`)),
  );
  if (sorted.length > limit) rows.push(make("li", { class: "rest" }, `and ${sorted.length - limit} more`));
  if (sorted.length === 0) rows.push(make("li", { class: "rest" }, "Nothing here yet."));
  list.replaceChildren(...rows);
}

/** Sets up the theme, the user's name, and links that keep the user. */
export function setUpPage(): void {
  wireTheme(find<HTMLButtonElement>(document, "#theme"));
  setText(find(document, "#user"), currentUser());
  const asked = new URLSearchParams(location.search).get("user");
  if (asked === null) return;
  for (const link of document.querySelectorAll<HTMLAnchorElement>("a[href]")) {
    if (!link.getAttribute("href")?.startsWith("#")) link.search = `?user=${encodeURIComponent(asked)}`;
  }
}

/** Shows the source of the module that runs on this page, without its region markers. */
function showCode(page: string, source: string): void {
  const code = source
    .split("\n")
    .filter((line) => !/^\/\/ #(?:end)?region\b/.test(line))
    .join("\n")
    .trim();
  setText(find(document, "#code-file"), `www/src/patterns/${page}.ts`);
  find(document, "#code-text").append(...highlight(code));
  const copy = find<HTMLButtonElement>(document, "#copy");
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(code).then(
      () => setText(copy, "Copied"),
      () => setText(copy, "Copying failed"),
    );
  });
}
