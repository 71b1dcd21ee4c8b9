/** What is kept while the panel is open: the status, the log, the timeline and the histories of entities of one user. All of it is bounded. */

import type { Activity, Datum, DatumEvent, LogEntry, SyncStatus } from "datum-sync";
import { entryOf, entryOfActivity } from "./log-words.js";
import { Histories, Ring } from "./ring.js";
import type { Scope, Stop } from "./scope.js";
import { Timeline } from "./timeline.js";

const LOG = 1_000;
/** How many changes of entities are kept, and how many of one are shown. */
const CHANGES = 20_000;
const SHOWN = 20;

/** Something that happened to an entity. */
export interface Change {
  readonly at: string;
  readonly what: string;
}

/** Names where entities are, among all types and spaces. */
const placeOf = (entity: string, spaceId?: string | null): string => JSON.stringify([entity, spaceId ?? null]);

const SOURCES = { local: "written here", remote: "pulled from the server", otherTab: "written in another tab" };

export class Recorder {
  /** The latest status; undefined until the first is there. */
  status: SyncStatus | undefined;
  readonly log = new Ring<LogEntry>(LOG);
  readonly timeline = new Timeline();
  readonly #changes = new Histories<Change>(CHANGES, SHOWN);
  /** What another tab has last written, as far as this tab has heard of it. */
  otherTab: string | undefined;
  /** True once the instance has ended its feeds. */
  hasEnded = false;
  #isTraced = Promise.resolve(false);
  #types = new Set<string>();
  #hasRecalled = false;
  readonly #userId: string;
  readonly #listeners = new Set<(event: DatumEvent | undefined) => void>();

  constructor(userId: string) {
    this.#userId = userId;
  }

  /** Calls `listener` for each event of the user, and with undefined for another status, until the returned function is called. */
  hear(listener: (event: DatumEvent | undefined) => void): Stop {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to follow an instance. `failed` gets what its feeds reject with. */
  start(datum: Datum<any>, scope: Scope, fail: (thrown: unknown) => void): void {
    const end = () => {
      this.hasEnded = true;
      this.#tell(undefined);
    };
    const feed = datum.statusForUser(this.#userId);
    this.status = feed.current;
    this.timeline.status(feed.current, true);
    scope.follow(() => feed, (status) => this.#show(status), fail, end);
    scope.follow(() => datum.events({ type: EVENTS }), (event) => this.note(event), fail, end);
    scope.follow(() => datum.watchActivity({ userId: this.#userId }), (activity) => this.#work(activity), fail, end);
    this.#isTraced = this.#recall(datum)
      .catch(() => false)
      .finally(() => {
        this.#hasRecalled = true;
        this.#tell(undefined);
      });
  }

  /** The entity types that the config and events have named; those of the engine itself last. Empty until the config is read. */
  get types(): readonly string[] {
    const isEngines = (type: string) => Number(type.startsWith("$"));
    return this.#hasRecalled ? [...this.#types].sort((a, b) => isEngines(a) - isEngines(b)) : [];
  }

  /** What has happened to an entity, the latest first. */
  historyOf(entity: string, id: string, spaceId?: string | null): readonly Change[] {
    return this.#changes.newest(placeOf(entity, spaceId), id);
  }

  /** Resolves with whether the instance keeps a trace, as its config says. */
  isTraced(): Promise<boolean> {
    return this.#isTraced;
  }

  /** Takes an event in. */
  note(event: DatumEvent): void {
    if (event.userId !== "" && event.userId !== this.#userId) return;
    const entry = entryOf(event);
    if (entry !== undefined) this.log.push(entry);
    this.#note(event);
    this.#tell(event);
  }

  #work(activity: Activity): void {
    const entry = entryOfActivity(activity);
    if (entry !== undefined) this.log.push(entry);
    this.timeline.activity(activity);
    this.#tell(undefined);
  }

  #show(status: SyncStatus): void {
    const before = this.status;
    this.status = status;
    this.#tell(undefined);
    // How far a cycle is says nothing of its beginning or its end.
    if (status.status === "syncing" && before?.status === "syncing" && before.lastStartedAt === status.lastStartedAt) return;
    // A task later, what the engine has told in the same turn of a cycle of this tab was heard. A timer would come late in a hidden tab.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      this.timeline.status(status);
      this.#tell(undefined);
    };
    port2.postMessage(0);
  }

  #tell(event: DatumEvent | undefined): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Begins with what the instance itself has kept of its log. Resolves with whether it keeps a trace. */
  async #recall(datum: Datum<any>): Promise<boolean> {
    const { log, config } = await datum.report(this.#userId);
    const { entities, trace } = (config ?? {}) as { entities?: object; trace?: unknown };
    this.#types = new Set([...Object.keys(entities ?? {}), ...this.#types]);
    const first = this.log.items[0]?.at;
    const earlier = (Array.isArray(log) ? (log as readonly LogEntry[]) : []).filter(({ at }) => first === undefined || at < first);
    const since = [...this.log.items];
    this.log.clear();
    for (const entry of [...earlier, ...since]) this.log.push(entry);
    return Boolean(trace);
  }

  #note(event: DatumEvent): void {
    this.timeline.event(event);
    if (event.type === "dataChanged") this.#changed(event);
    else if (event.type === "conflictDetected") this.#keep(event.conflict, event.at, "changed on both sides");
    else if (event.type === "conflictResolved") this.#keep(event.conflict, event.at, `conflict decided: ${event.taken}`);
    else if (event.type === "deadLetter") this.#keep(event.deadLetter, event.at, `its write is a dead letter: ${event.deadLetter.message}`);
  }

  #changed(event: Extract<DatumEvent, { type: "dataChanged" }>): void {
    this.#types.add(event.entity);
    if (event.source === "otherTab") this.otherTab = event.at;
    const parts = [
      [event.created, "created"],
      [event.updated, "changed"],
      [event.deleted, "deleted"],
    ] as const;
    for (const [ids, what] of parts) {
      this.#changes.push(placeOf(event.entity, event.spaceId), ids, { at: event.at, what: `${what}, ${SOURCES[event.source]}` });
    }
  }

  #keep({ entity, entityId, spaceId }: { entity: string; entityId: string; spaceId?: string }, at: string, what: string): void {
    this.#changes.push(placeOf(entity, spaceId), [entityId], { at, what });
  }
}

/** All but the progress, which the status has as well. */
const EVENTS: DatumEvent["type"][] = [
  "syncStarted", "syncCompleted", "syncFailed", "dataChanged", "conflictDetected", "conflictResolved", "deadLetter", "signedOut", "userSwitched", "leaderChanged",
  "connectivityChanged", "storageLost", "serverRestored", "migrationProgress", "rowsIgnored", "spaceJoined", "spaceLeft", "roleChanged",
];
