// The panel of one device: network switch, buttons, status, and when to read data again.

import type { SyncResult, SyncStatus } from "datum-sync";

import { openDevice, follow, type Device } from "./device.ts";
import { toggleDevtools } from "./devtools.ts";
import { find, setText } from "./dom.ts";
import { addToFeed } from "./feed.ts";
import { wireMetadata } from "./metadata.ts";
import { Network } from "./network.ts";
import { wireTasks } from "./tasks.ts";
import { toast } from "./toast.ts";
import { describeError, describePhase, describeResult, count, number } from "./messages.ts";

export interface PanelOptions {
  id: "a" | "b";
  name: string;
  database: string;
  icon: string;
  userId: string;
  /** Called after a sync: the other device may now be behind the server. */
  onSynced: () => void;
}

export class Panel {
  readonly element: HTMLElement;
  readonly #options: PanelOptions;
  readonly #network = new Network();
  readonly #parts;
  #device: Device | undefined;
  #refreshTasks: () => Promise<void> = async () => undefined;
  #refreshMetadata: () => Promise<void> = async () => undefined;
  #state: SyncStatus["status"] = "idle";
  /** The message to show when no cycle runs. */
  #outcome = "";

  constructor(options: PanelOptions, template: HTMLTemplateElement) {
    this.#options = options;
    const copy = document.importNode(template.content, true);
    const root = find(copy, ".device");
    this.element = root;
    this.#parts = {
      network: find<HTMLButtonElement>(root, "[data-testid=network]"),
      status: find(root, "[data-testid=status]"),
      message: find(root, "[data-testid=message]"),
      pending: find(root, "[data-testid=pending]"),
      progress: find(root, "[data-testid=progress]"),
      bar: find(root, ".bar"),
      sync: find<HTMLButtonElement>(root, "[data-testid=sync]"),
      refresh: find<HTMLButtonElement>(root, "[data-testid=refresh]"),
      pause: find<HTMLButtonElement>(root, "[data-testid=pause]"),
      devtools: find<HTMLButtonElement>(root, "[data-testid=devtools]"),
      clear: find<HTMLButtonElement>(root, "[data-testid=clear]"),
      input: find<HTMLInputElement>(root, "[data-testid=new-task]"),
      add: find<HTMLButtonElement>(root, "[data-testid=add-task]"),
      feed: find(root, "[data-testid=feed]"),
      metadata: find<HTMLDetailsElement>(root, "[data-part=metadata]"),
      log: find<HTMLDetailsElement>(root, "[data-part=feed]"),
    };
    this.#setUp();
  }

  /** Opens the database and pulls once, as an app does when it starts. */
  async start(): Promise<void> {
    const { userId, database } = this.#options;
    const parts = this.#parts;
    try {
      this.#device = await openDevice(database, userId, this.#network);
    } catch (error) {
      setText(parts.status, "failed");
      parts.status.dataset["state"] = "failed";
      this.#say(describeError(error, true));
      console.error(error);
      return;
    }
    this.#refreshMetadata = wireMetadata(this.element, this.#device, userId, this.#network);
    this.#refreshTasks = wireTasks({
      device: this.#device,
      userId,
      panel: this.element,
      onWrite: () => void this.#afterWrite(),
      onError: (error) => this.#showError(error),
    });
    this.#wire(this.#device);
    for (const control of [parts.network, parts.sync, parts.refresh, parts.pause, parts.devtools, parts.clear, parts.input, parts.add]) control.disabled = false;
    void follow(this.#device.datum, userId, (status) => this.#show(status)).catch((error: unknown) => this.#showError(error));
    await Promise.all([this.#refreshTasks(), this.#countPending()]);
    await this.#run(this.#device.fresh);
  }

  focusInput(): void {
    this.#parts.input.focus();
  }

  /** Compares this device with the server again, after the other one has synced. */
  async compareAgain(): Promise<void> {
    if (this.#device && this.#state !== "syncing") await this.#refreshMetadata();
  }

  #setUp(): void {
    const { id, name, database, icon } = this.#options;
    const root = this.element;
    const heading = find(root, "h2");
    heading.id = `device-${id}-name`;
    setText(heading, name);
    setText(find(root, "[data-part=database]"), database);
    root.id = `device-${id}`;
    root.dataset["testid"] = `device-${id}`;
    root.dataset["device"] = id;
    root.setAttribute("aria-labelledby", heading.id);
    find<SVGUseElement>(root, ".device-icon use").setAttribute("href", `#i-${icon}`);
    this.#parts.input.setAttribute("aria-label", `New task on ${name}`);
    this.#parts.progress.setAttribute("aria-label", `Sync progress of ${name}`);
    // On narrow pages the details start closed.
    const wide = matchMedia("(min-width: 801px)").matches;
    this.#parts.metadata.open = wide;
    this.#parts.log.open = wide;
  }

  #wire(device: Device): void {
    const { network, sync, refresh, pause, devtools, clear } = this.#parts;
    network.addEventListener("click", () => {
      this.#network.on = !this.#network.on;
    });
    this.#network.addEventListener("change", () => this.#networkChanged(device));
    sync.addEventListener("click", () => void this.#run(device.sync));
    refresh.addEventListener("click", () => void this.#run(device.fresh));
    pause.addEventListener("click", () => void this.#togglePause(device));
    devtools.addEventListener("click", () => void toggleDevtools(device.datum, this.#options.name).catch((error: unknown) => this.#showError(error)));
    clear.addEventListener("click", () => void this.#clear(device));
  }

  #networkChanged(device: Device): void {
    const on = this.#network.on;
    const { network } = this.#parts;
    network.setAttribute("aria-checked", String(on));
    setText(find(network, ".switch-state"), on ? "on" : "off");
    this.element.classList.toggle("is-offline", !on);
    this.#drawWire();
    if (on) {
      this.#say("Back online.");
      void this.#run(device.sync);
    } else {
      this.#say("Offline: your changes are saved on this device.");
      void this.#refreshMetadata();
    }
  }

  async #run(cycle: () => Promise<SyncResult>): Promise<void> {
    this.#outcome = "";
    try {
      const result = await cycle();
      this.#say(result.error ? describeError(result.error, this.#network.on) : describeResult(result));
      if (result.conflictsResolved > 0) {
        toast(`${this.#options.name}: ${count(result.conflictsResolved, "conflict")} merged, field by field.`, "good");
      }
      if (result.remoteFetched) this.#options.onSynced();
    } catch (error) {
      this.#say(describeError(error, this.#network.on));
    }
    await this.#reread();
  }

  #show(status: SyncStatus): void {
    const { pending, progress, bar, pause, sync } = this.#parts;
    const before = this.#state;
    this.#state = status.status;
    setText(this.#parts.status, status.status);
    this.#parts.status.dataset["state"] = status.status;
    const percent = Math.round(status.progress * 100);
    // Only forward progress is animated; a new cycle jumps back to the start.
    bar.classList.toggle("is-forward", percent >= Number(progress.getAttribute("aria-valuenow")));
    progress.setAttribute("aria-valuenow", String(percent));
    bar.style.transform = `scaleX(${status.progress})`;
    this.#showPending(status.pendingOperations, pending);
    const paused = status.status === "paused";
    pause.setAttribute("aria-pressed", String(paused));
    const syncing = status.status === "syncing";
    sync.setAttribute("aria-busy", String(syncing));
    this.element.dataset["state"] = status.status;
    this.#drawWire();
    addToFeed(this.#parts.feed, status);
    setText(this.#parts.message, syncing ? describePhase(status.phase) : this.#outcome);
    if (!syncing && before === "syncing") void this.#reread();
  }

  #showPending(operations: number, pending: HTMLElement): void {
    setText(pending, number(operations));
    const box = pending.parentElement;
    if (box) box.dataset["count"] = String(operations);
  }

  async #countPending(): Promise<void> {
    if (this.#device) this.#showPending(await this.#device.datum.pendingCount(this.#options.userId), this.#parts.pending);
  }

  async #reread(): Promise<void> {
    await this.#quietly(Promise.all([this.#refreshTasks(), this.#countPending(), this.#refreshMetadata()]));
  }

  async #afterWrite(): Promise<void> {
    this.#say(this.#network.on ? "Saved on this device." : "Saved on this device, offline.");
    await this.#quietly(Promise.all([this.#countPending(), this.#refreshMetadata()]));
  }

  async #quietly(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#showError(error);
    }
  }

  async #togglePause(device: Device): Promise<void> {
    const { userId } = this.#options;
    try {
      if (this.#state === "paused") {
        await device.datum.resumeSync(userId);
        this.#say("Resumed.");
      } else {
        await device.datum.pauseSync(userId);
        this.#say("Paused. You can still make changes.");
      }
    } catch (error) {
      this.#showError(error);
    }
  }

  async #clear(device: Device): Promise<void> {
    const { userId, name } = this.#options;
    try {
      const waiting = await device.datum.pendingCount(userId);
      const lost = waiting > 0 ? ` ${count(waiting, "change")} that the server does not have will be lost.` : "";
      if (!confirm(`Clear the database of ${name}?${lost} Fresh data restores the rest.`)) return;
      await device.datum.clearUserData(userId);
      this.#say("Cleared. Fresh data restores the tasks.");
      await this.#reread();
    } catch (error) {
      this.#showError(error);
    }
  }

  /** Updates the drawing above the panels. */
  #drawWire(): void {
    const wire = document.querySelector<HTMLElement>(`[data-wire=${this.#options.id}]`);
    if (wire) wire.dataset["state"] = !this.#network.on ? "cut" : this.#state === "syncing" ? "busy" : "rest";
  }

  #say(message: string): void {
    this.#outcome = message;
    if (this.#state !== "syncing") setText(this.#parts.message, message);
  }

  #showError(error: unknown): void {
    toast(`${this.#options.name}: ${describeError(error, true)}`, "bad");
  }
}
