/** What is known about this device's cycles, beside what the server knows. */

import type { MetadataComparison, SyncMetadata } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { h, type Child, type View } from "../dom.js";
import { clock, duration, number, preview } from "../format.js";
import { runCycle } from "../mending.js";
import { bar, button, empty, heading, mono, note, Shown, type Tone } from "../parts.js";
import { keepReading, type Scope } from "../scope.js";

const TONES: Record<MetadataComparison, Tone> = { inSync: "good", remoteNewer: "info", localNewer: "info", diverged: "bad", neverSynced: "warn", unknown: "quiet" };
const WORDS: Record<MetadataComparison, string> = { inSync: "In sync", remoteNewer: "The server has more", localNewer: "This device has more", diverged: "Both differ", neverSynced: "Never synced", unknown: "Not known" };

/** What the server has answered, and when it was asked. */
interface Answer {
  readonly at: string;
  readonly metadata: SyncMetadata | null;
  readonly result: MetadataComparison;
  readonly because: string;
}

export class MetadataPanel implements Panel {
  readonly #context: Context;
  readonly #shown: Shown;
  #local: SyncMetadata | null | undefined;
  #answer: Answer | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.#shown = new Shown(() => context.invalidate());
  }

  start(scope: Scope): void {
    keepReading(scope, this.#context, async () => (this.#local = await this.#context.datum.getSyncMetadata(this.#context.userId)));
  }

  view(): readonly Child[] {
    if (this.#local === undefined) return [empty("Reading the metadata …", "")];
    const { datum, userId } = this.#context;
    const answer = this.#answer;
    const fresh = () =>
      this.#context.act(async () => {
        const yes = await this.#context.ask({ title: "Pull everything again?", text: "The cursor is ignored: everything is pulled, then what the server no longer has is dropped here. Pending writes stay. On a large account this takes a while.", yes: "Pull everything" });
        return yes ? runCycle(this.#context, { direction: "pullThenPush", forceFullSync: true }) : undefined;
      });
    return [
      bar(
        button("Compare with the server", () => this.#context.act(() => this.#compare()), { kind: "primary", title: "Two requests: getRemoteSyncMetadata and explainSyncMetadata." }),
        button("Fresh data …", fresh, { title: "synchronize with forceFullSync" }),
        button("Clear this device's …", () => this.#clear({ local: true, remote: false }), { kind: "danger" }),
        button("Clear the server's …", () => this.#clear({ local: false, remote: true }), { kind: "danger" }),
      ),
      answer === undefined ? note("quiet", "The server has not been asked yet.") : note(TONES[answer.result], `${WORDS[answer.result]}, as of ${clock(answer.at)}: ${answer.because}`),
      this.#table(this.#local, answer?.metadata),
      ...this.#custom("This device's own fields", this.#local),
      ...this.#custom("Own fields of all devices", answer?.metadata ?? null),
      heading("In code"),
      h("p", { class: "soft" }, mono(`await datum.explainSyncMetadata(${JSON.stringify(userId)})`), datum.currentUserId === userId ? "" : " (not the current user)"),
    ];
  }

  async #compare(): Promise<void> {
    const { datum, userId } = this.#context;
    const [metadata, { result, because }] = await Promise.all([datum.getRemoteSyncMetadata(userId), datum.explainSyncMetadata(userId)]);
    this.#answer = { at: new Date().toISOString(), metadata, result, because };
    this.#context.invalidate();
  }

  #clear(options: { local: boolean; remote: boolean }): void {
    this.#context.act(async () => {
      const yes = await this.#context.ask({
        title: options.local ? "Clear this device's sync metadata?" : "Clear the server's sync metadata?",
        text: options.local ? "Past cycles are forgotten, and the next one pulls everything again. Entities and pending writes stay." : "What the server knows about cycles of every device of this user is removed. Entities and pending writes stay.",
        yes: "Clear",
        isGrave: true,
      });
      if (!yes) return;
      await this.#context.datum.clearSyncMetadata(this.#context.userId, options);
      this.#answer = undefined;
      return "The metadata was cleared.";
    });
  }

  #table(local: SyncMetadata | null, remote: SyncMetadata | null | undefined): View {
    const types = new Set([...Object.keys(local?.entityCounts ?? {}), ...Object.keys(remote?.entityCounts ?? {})]);
    const count = (metadata: SyncMetadata | null | undefined, type: string) => {
      const it = metadata?.entityCounts[type];
      return it && `${number(it.count)}${it.pending > 0 ? `, ${number(it.pending)} pending` : ""}`;
    };
    const rows: [string, (metadata: SyncMetadata) => string | undefined][] = [
      ["Status", (it) => it.syncStatus],
      ["Last attempt", (it) => clock(it.lastSyncTime)],
      ["Last success", (it) => clock(it.lastSuccessfulSyncTime)],
      ["Last cycle took", (it) => duration(it.syncDuration)],
      ["Failed attempts since", (it) => number(it.retryCount)],
      ["Error", (it) => it.errorMessage],
      ["Open conflicts", (it) => number(it.conflictCount)],
      ["Devices", (it) => number(it.deviceCount)],
      ["Device", (it) => it.deviceId],
      ["Digest of the data", (it) => it.dataHash],
      ...[...types].sort().map((type): [string, (metadata: SyncMetadata) => string | undefined] => [type, (it) => count(it, type)]),
    ];
    const cell = (metadata: SyncMetadata | null | undefined, read: (metadata: SyncMetadata) => string | undefined) => {
      const text = metadata === undefined ? "not asked" : metadata === null ? "none" : (read(metadata) ?? "–");
      return h("td", { class: metadata ? "mono" : "soft", title: text }, text);
    };
    const line = ([name, read]: (typeof rows)[number]) => {
      const differs = local !== null && remote !== null && remote !== undefined && (name === "Digest of the data" || types.has(name)) && read(local) !== read(remote);
      return h("tr", { class: differs ? "clash" : "" }, h("th", { scope: "row" }, name), cell(local, read), cell(remote, read));
    };
    return h("table", { class: "beside" }, h("thead", {}, h("tr", {}, ...["", "This device", "Server"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows.map(line)));
  }

  #custom(title: string, metadata: SyncMetadata | null): Child[] {
    if (metadata?.customMetadata === undefined || preview(metadata.customMetadata, 4) === "{  }") return [];
    return [heading(title), this.#shown.json(title, metadata.customMetadata)];
  }
}
