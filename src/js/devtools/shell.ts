/** The panel as a whole: its frame, the instance and the user that it shows, and what it says. It subscribes to nothing while it is closed. */

import type { Datum } from "datum-sync";
import { Frame, h, own, patch, type Child, type View } from "./dom.js";
import { failure } from "./format.js";
import { copyText, download, fileName, reportText } from "./files.js";
import { grip } from "./grip.js";
import { button, empty, type Tone } from "./parts.js";
import { Dialog } from "./question.js";
import { Scope } from "./scope.js";
import { Session } from "./session.js";
import { loadSettings, storeSettings, type Settings } from "./settings.js";
import { adopt } from "./styles.js";
import type { Instance } from "./surface.js";
import { tabList } from "./tab-list.js";

/** How much of the page stays free beside the panel, in pixels. */
const FREE = 60;

/** Returns what has the focus, also within elements that have their own tree; undefined for nothing. */
function focused(): Element | undefined {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active === document.body ? undefined : (active ?? undefined);
}

/** What is said after a button was pressed, or of a failure. */
interface Notice {
  readonly tone: Tone;
  readonly text: string;
}

export class Shell {
  /** The instances to choose from; the first is shown unless another was chosen. */
  instances: readonly Instance[] = [];
  /** The keys that open and close it, in words. */
  keys: string | undefined;
  hasLauncher = true;
  readonly #root: ShadowRoot;
  readonly #changed: (settings: Settings) => void;
  readonly #body = document.createElement("div");
  readonly #dialog = new Dialog();
  readonly #frame = new Frame(() => this.#draw());
  #settings = loadSettings();
  #scope: Scope | undefined;
  #users: Scope | undefined;
  #followed: Datum<any> | undefined;
  #session: Session | undefined;
  #chosen: Datum<any> | undefined;
  #user: string | null | undefined;
  #given: string | undefined;
  #isClosed = false;
  #notice: Notice | undefined;
  #isBusy = 0;
  /** What had the focus when it was opened, outside of it. */
  #before: Element | undefined;

  /** `changed` hears of every other size, side and state. */
  constructor(root: ShadowRoot, changed: (settings: Settings) => void) {
    [this.#root, this.#changed] = [root, changed];
    adopt(root);
    this.#body.className = "body";
    this.#body.addEventListener("keydown", (event) => this.#key(event));
    // The app's own shortcuts are not for what is typed here.
    for (const type of ["keyup", "keypress"]) this.#body.addEventListener(type, (event) => event.stopPropagation());
    root.append(this.#body);
  }

  get settings(): Settings {
    return this.#settings;
  }

  set(settings: Partial<Settings>): void {
    const before = this.#settings;
    this.#settings = { ...before, ...settings };
    if (JSON.stringify(before) === JSON.stringify(this.#settings)) return;
    if (this.#scope !== undefined) storeSettings(this.#settings);
    if (before.panel !== this.#settings.panel) this.#notice = undefined;
    this.#changed(this.#settings);
    this.update();
  }

  /** The page has the element now. */
  connect(): void {
    if (this.#scope !== undefined) return;
    this.#scope = new Scope();
    this.#scope.listen(window, "resize", () => this.#settings.isOpen && this.#frame.ask());
    this.update();
  }

  disconnect(): void {
    this.#scope?.end();
    this.#scope = undefined;
    this.#dialog.close();
    this.#leave();
    this.#frame.stop();
  }

  toggle(isOpen = !this.#settings.isOpen): void {
    const active = focused();
    if (isOpen) this.#before = active !== undefined && this.#root.contains(active) ? undefined : active;
    this.set({ isOpen });
    this.#draw();
    const target = this.#root.querySelector<HTMLElement>(isOpen ? '[role="tab"][tabindex="0"]' : ".launcher");
    const before = isOpen ? undefined : (this.#before as HTMLElement | undefined);
    before?.focus();
    // It may be gone, hidden or disabled by now.
    if (before === undefined || focused() !== before) target?.focus();
  }

  /** Shows the user with this id instead of the current one; undefined for the current one. */
  chooseUser(userId: string | undefined): void {
    this.#given = userId;
    this.update();
  }

  choose(datum: Datum<any> | undefined): void {
    this.#chosen = datum;
    this.update();
  }

  /** Follows what is to be shown now, and nothing else. */
  update(): void {
    const isShown = this.#scope !== undefined && this.#settings.isOpen;
    const datum = isShown ? this.datum : undefined;
    if (datum === undefined) this.#leave();
    else this.#followUsers(datum);
    this.#showSession(datum);
    if (this.#scope !== undefined) this.#frame.ask();
  }

  /** The instance that is shown. */
  get datum(): Datum<any> | undefined {
    return this.#instance?.datum;
  }

  get #instance(): Instance | undefined {
    return this.instances.find(({ datum }) => datum === this.#chosen) ?? this.instances[0];
  }

  #followUsers(datum: Datum<any>): void {
    if (this.#followed === datum && this.#users !== undefined) return;
    this.#leave();
    this.#followed = datum;
    const users = (this.#users = new Scope());
    [this.#isClosed, this.#user] = [false, undefined];
    const end = () => {
      this.#isClosed = true;
      this.update();
    };
    users.follow(
      () => datum.watchCurrentUser(),
      (user) => {
        this.#user = user;
        this.update();
      },
      (thrown) => (end(), this.fail(thrown)),
      end,
    );
  }

  #showSession(datum: Datum<any> | undefined): void {
    const userId = this.#given ?? this.#instance?.userId ?? this.#user ?? undefined;
    const isWanted = datum !== undefined && userId !== undefined && !this.#isClosed;
    if (!isWanted || this.#session?.datum !== datum || this.#session.userId !== userId) {
      this.#endSession();
      this.#dialog.close();
    }
    if (!isWanted) return;
    try {
      if (this.#session === undefined) {
        // What a user's work says, asks or opens once another is shown is not for them.
        const isShown = () => this.#session === session;
        const session: Session = new Session(datum, userId, {
          invalidate: () => this.#frame.ask(),
          act: (work) => this.act(work),
          ask: async (question) => isShown() && this.#dialog.ask(question),
          show: (panel) => isShown() && this.set({ panel }),
          fail: (thrown) => isShown() && this.fail(thrown),
          copy: (text) => this.act(async () => (await copyText(text), "Copied.")),
        });
        this.#session = session;
        session.start();
      }
      this.#session.show(this.#settings.panel);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  #leave(): void {
    this.#users?.end();
    [this.#users, this.#followed] = [undefined, undefined];
    this.#endSession();
  }

  #endSession(): void {
    if (this.#session === undefined) return;
    this.#session.end();
    [this.#session, this.#notice] = [undefined, undefined];
  }

  act(work: () => Promise<string | void>): void {
    this.#isBusy++;
    this.#notice = undefined;
    const session = this.#session;
    this.#frame.ask();
    const done = (notice: Notice | undefined) => {
      this.#isBusy--;
      if (notice !== undefined && session === this.#session) this.#notice = notice;
      this.#frame.ask();
    };
    work().then(
      (text) => done(text === undefined ? undefined : { tone: "info", text }),
      (thrown: unknown) => done({ tone: "bad", text: failure(thrown) }),
    );
  }

  fail(thrown: unknown): void {
    // A closed instance says so itself.
    if ((thrown as { code?: unknown }).code === "closed") return;
    this.#notice = { tone: "bad", text: failure(thrown) };
    this.#frame.ask();
  }

  #key(event: KeyboardEvent): void {
    event.stopPropagation();
    const isField = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (event.key !== "Escape" || this.#dialog.isOpen || event.defaultPrevented || (isField && (event.target as HTMLInputElement).value !== "")) return;
    event.preventDefault();
    this.toggle(false);
  }

  #draw(): void {
    const { isOpen } = this.#settings;
    if (this.#scope === undefined) return;
    const keys = this.keys === undefined ? "" : ` (${this.keys})`;
    const launcher = h("button", { type: "button", class: "launcher", title: `Open the sync panel${keys}`, "aria-label": `Open the sync panel${keys}`, onclick: () => this.toggle(true) }, "Sync");
    const hadFocus = this.#root.activeElement !== null;
    patch(this.#body, isOpen ? [this.#dock()] : this.hasLauncher ? [launcher] : []);
    // What had the focus is gone with what it belonged to: keys would begin at the page's first element.
    if (hadFocus && this.#root.activeElement === null && isOpen) this.#root.querySelector<HTMLElement>('[role="tab"][tabindex="0"]')?.focus();
  }

  #dock(): View {
    const { dock, panel, width, height } = this.#settings;
    const isBottom = dock === "bottom";
    const most = Math.max(200, (isBottom ? window.innerHeight : window.innerWidth) - FREE);
    const size = Math.min(most, isBottom ? height : width);
    const resize = (wanted: number) => this.set(isBottom ? { height: wanted } : { width: wanted });
    const notice = this.#notice;
    return h(
      "section",
      { class: `dock ${dock}`, "aria-label": "Sync panel", "--size": `${size}px`, key: "dock" },
      grip(dock, size, most, resize),
      h("header", {}, tabList(panel, this.#session?.recorder.status, (name) => this.set({ panel: name })), this.#tools()),
      h("div", { class: `notice ${notice?.tone ?? ""}`, role: "status" }, notice !== undefined && h("span", {}, notice.text), notice !== undefined && button("Dismiss", () => ((this.#notice = undefined), this.#frame.ask()), { kind: "link" })),
      h("div", { class: `panel ${panel}`, role: "tabpanel", id: "panel", "aria-labelledby": `tab-${panel}`, "aria-busy": String(this.#isBusy > 0), key: panel }, ...this.#content()),
      own(this.#dialog.element),
    );
  }

  #content(): readonly Child[] {
    if (this.#session !== undefined && !this.#isClosed) return this.#session.panel(this.#settings.panel).view();
    if (this.#isClosed) return [empty("This instance is closed", "Its data is safe. The panel goes on when the page opens an instance again and shows it here.")];
    if (this.instances.length === 0) return [empty("No instance yet", "The page has not opened one, or has not given it to this panel: set the property `datum`, or call mountDevtools(datum).")];
    return [this.#user === null ? empty("Nobody is signed in", "The panel follows the current user: it goes on once the app signs somebody in.") : empty("Asking who is signed in …", "")];
  }

  #tools(): View {
    const { dock } = this.#settings;
    const session = this.#session;
    const isBottom = dock === "bottom";
    return h(
      "div",
      { class: "tools" },
      this.#switch(),
      h("span", { class: "who", title: "The user that is shown" }, session?.userId ?? (this.#user === null ? "nobody" : "")),
      h("button", { type: "button", class: "tool", "aria-disabled": session === undefined ? "true" : undefined, onclick: () => this.#files() }, "Report …"),
      h("button", { type: "button", class: "tool icon", "aria-label": isBottom ? "Dock at the right" : "Dock at the bottom", title: isBottom ? "Dock at the right" : "Dock at the bottom", onclick: () => this.set({ dock: isBottom ? "right" : "bottom" }) }, isBottom ? "◨" : "⬓"),
      h("button", { type: "button", class: "tool icon", "aria-label": "Close the panel", title: "Close (Escape)", onclick: () => this.toggle(false) }, "✕"),
    );
  }

  #switch(): Child {
    if (this.instances.length < 2) return this.instances[0]?.name ?? this.instances[0]?.datum.name;
    const shown = this.instances.findIndex(({ datum }) => datum === this.datum);
    const change = (event: Event) => this.choose(this.instances[Number((event.target as HTMLSelectElement).value)]?.datum);
    return h("select", { "aria-label": "Instance", value: shown, onchange: change }, ...this.instances.map(({ name, datum }, index) => h("option", { value: index, selected: index === shown }, name ?? datum.name)));
  }

  /** Asks what to do with the report and the trace. */
  #files(): void {
    const session = this.#session;
    if (session === undefined) return;
    const { datum, userId, recorder } = session;
    this.act(async () => {
      const hasTrace = await recorder.isTraced();
      if (session !== this.#session) return;
      const answers = [{ words: "Copy the report" }, { words: "Download the report", kind: "primary" as const }, ...(hasTrace ? [{ words: "Download the trace" }] : [])];
      const ofReport = "The report has no entities, no tokens and no headers: it has the state of the sync, the pending writes without their contents, and the last entries of the log.";
      const ofTrace = hasTrace ? " The trace has every commit: values of fields are masked, and ids, names, times, foreign keys and summed fields are not." : "";
      const answer = await this.#dialog.choose("Report for support", ofReport + ofTrace, answers);
      if (answer === undefined) return;
      if (answer === 0) return await copyText(await reportText(datum, userId)), "The report is on the clipboard.";
      if (answer === 1) download(await reportText(datum, userId), fileName("report", new Date(), "json"));
      else download(await datum.exportTrace(userId), fileName("trace", new Date(), "ndjson"));
      return "The download has begun.";
    });
  }
}
