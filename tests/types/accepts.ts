// Code of an app: all of it must compile under `strict`.
import { Datum, DatumError, Manager } from "datum-sync";
import { migrations } from "datum-sync/migrations";
import { handleBackgroundSync } from "datum-sync/service-worker";
import type {
  Activity, ActivityName, AnyEntity, ConflictResolver, Converted, DatumConfig, DatumErrorCode, Entity, EntityConfig, HeaderSource, JsonFields, LogoutResult, MetadataComparison, Middleware, NextSyncExplanation, NextSyncReason,
  OperationExplanation, Page, PendingOperation, StorageSize, TabInfo, WaitReasonName,
  CascadeDeletePreview, PullPage, PullRequest, PushReply, PushRequest, PushVerdict, RemoteAdapter, SharedSpace, SpaceManager, SpaceRole, SyncMetadata, SyncResult, SyncStatus, UserSwitchResult, UserSwitchStrategy, With,
} from "datum-sync";

interface Task extends Entity {
  title: string;
  done: boolean;
  due?: string;
  tags: string[];
  place?: { street: string; floor: number | null };
}

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;
function isExactly<A, B>(_: Equal<A, B>): void {}

const resolver: ConflictResolver<Task> = async ({ base, local, remote, fields }) => {
  if (local === null || remote === null) return { take: "remote" };
  if (fields.includes("title") && base?.title === local.title) return { take: "local" };
  return { take: "merged", data: { ...remote, tags: [...local.tags, ...remote.tags] } };
};

const config: DatumConfig = {
  name: "todo",
  entities: {
    tasks: { conflictResolver: resolver, deleteBehavior: "hardDelete", mergeFields: { tags: "union", "place.street": "text" } },
    notes: { onRejected: "keepLocal", relations: { task: { belongsTo: "tasks", foreignKey: "task" } } },
  },
  remote: {
    url: "https://api.example.com",
    headers: async (reason) => ({ Authorization: reason === "unauthorized" ? "Bearer fresh" : "Bearer kept" }),
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, "X-App": "1" } }),
    credentials: "include",
    compress: true,
    timeout: 10_000,
  },
  initialUserId: async () => null,
  syncTimeout: 60_000,
  resolverTimeout: 5_000,
  defaultSyncDirection: "pullThenPush",
  defaultSyncOptions: { overrideBatchSize: 100 },
  defaultConflictResolver: "merge",
  durability: { local: "relaxed" },
  defaultUserSwitchStrategy: "promptIfUnsyncedData",
  memoryBudget: 1 << 20,
  trace: { maxBytes: 1 << 20 },
  persist: "ask",
  realtime: true,
  flushOnLeave: false,
  backgroundSync: true,
  performanceTrack: true,
  autoStartSync: true,
  autoSyncInterval: 60_000,
  syncAfterWrite: false,
  syncOnReconnect: false,
  syncOnVisible: true,
  coldStart: { strategy: "adaptive", threshold: 1, delay: 0, maxDuration: 5_000 },
  schemaVersion: 3,
  schemaField: "form",
  migrations: migrations([
    { from: 1, to: 2, entity: "tasks", operations: [{ rename: "text", to: "title" }, { add: "tags", value: [] }, { remove: "old" }, { transform: "due", with: (due: string) => due.slice(0, 10) }] },
    { from: 2, to: 3, migrate: ({ done, ...rest }) => ({ ...rest, status: done ? "done" : "open" }) },
  ]),
  onMigrationError: ({ code, entity, entityId }) => console.error(code satisfies DatumErrorCode, entity, entityId),
};

interface Project extends Entity {
  name: string;
  ownerId: string | null;
}
const related: DatumConfig<{ tasks: Task & { projectId?: string }; projects: Project; taskTags: Entity & { task: string; tag: string }; tags: Entity }> = {
  entities: {
    projects: { relations: { tasks: { hasMany: "tasks", foreignKey: "projectId", onDelete: "cascade" }, first: { hasOne: "tasks", foreignKey: "projectId", onDelete: "restrict" } } },
    tasks: { relations: { project: { belongsTo: "projects", foreignKey: "projectId" }, tags: { manyToMany: "tags", through: "taskTags", thisKey: "task", otherKey: "tag" } } },
    taskTags: {},
    tags: {},
  },
  remote: { url: "/" },
};

const seal: Middleware<Task> = { beforeSave: ({ title, ...rest }) => ({ ...rest, box: title }), afterRead: (task) => task };
export const counted: EntityConfig<Task & { votes: number }> = { mergeFields: { votes: "sum", due: "min", "place.floor": "remote" } };
export const around: EntityConfig<Task> = {
  validate: ({ title }) => {
    if (title === "") throw new Error("no title");
  },
  beforeSave: (task) => ({ ...task, title: task.title.trim() }),
  middleware: [seal, { validate() {} }, new (class implements Middleware<Task> { afterRead(task: Task): Task { return task; } })()],
  localOnly: ["draft"],
  indexes: ["due", ["place.floor", "due"]],
};
void Datum.initialize({ entities: { tasks: around, notes: { localOnly: ["draft"], afterRead: (note) => note } }, remote: { url: "/" } });
handleBackgroundSync(config);
handleBackgroundSync(() => config);
handleBackgroundSync(async () => config);

export function automatic(datum: Datum, status: SyncStatus): string {
  datum.startAutoSync("ada", { interval: 30_000 });
  datum.startAutoSync("ada");
  datum.stopAutoSync("ada");
  datum.stopAutoSync();
  isExactly<ReturnType<Datum["nextSyncTime"]>, string | null>(true);
  return datum.nextSyncTime("ada") ?? status.nextSyncAt ?? status.nextRetryAt ?? String(status.isLeader);
}

const fixed: HeaderSource = { Authorization: "Bearer x", "X-Absent": undefined };

export class Adapter implements RemoteAdapter {
  async pull(request: { cursor: string | null }, signal: AbortSignal): Promise<PullPage> {
    signal.throwIfAborted();
    if (request.cursor === "old") throw new DatumError("serverError", "try later", { retryAfterMs: 1000 });
    return { changes: [{ entity: "tasks", id: "a", version: 1, data: { title: "x" } }], cursor: "1", more: false };
  }
  async push(request: { operations: { opId: string }[] }): Promise<PushReply> {
    return { results: request.operations.map(({ opId }) => ({ opId, status: "applied", version: 1 })) };
  }
  subscribe(userId: string, hint: () => void): () => void {
    const timer = setInterval(hint, userId.length * 1000);
    return () => clearInterval(timer);
  }
}

/** A backend with shared spaces. */
export class SharedAdapter implements RemoteAdapter {
  async pull({ spaces }: PullRequest): Promise<PullPage> {
    const space = "01890000-0000-7000-8000-000000000001";
    return {
      changes: [
        { entity: "tasks", id: "a", version: 2, space, data: { title: "x" } },
        { entity: "tasks", id: "b", version: 2, deleted: true, movedTo: { space, version: 3 } },
        { entity: "tasks", id: "c", version: 2, space: null, data: {} },
      ],
      cursor: "1",
      more: false,
      ...(spaces && { spaces: [{ id: space, role: "reader" }], starts: [{ space, at: 2 }, { at: 2, kept: 1 }] }),
    };
  }
  async push(request: PushRequest): Promise<PushReply> {
    const results = request.operations.map(({ opId, kind, space, to }): PushVerdict => {
      if (kind === "move") return { opId, status: "conflict", version: 4, row: {}, space: to ?? null, leftVersion: 2 };
      return space === undefined ? { opId, status: "applied", version: 1 } : { opId, status: "rejected", code: "notMember", message: "no" };
    });
    return { results };
  }
}

export async function sharing(datum: Datum, tasks: Manager<Task>): Promise<void> {
  const spaces = datum.spaces();
  isExactly<typeof spaces, SpaceManager>(true);
  const id: string = await spaces.create("Home");
  for await (const list of spaces.watch()) isExactly<typeof list, readonly SharedSpace[]>(true);
  await spaces.rename(id, "Our home").catch((error: unknown) => error instanceof DatumError && error.code === "unsupported");
  const roles: SpaceRole[] = (await spaces.members(id)).map((member) => member.role);
  await spaces.setRole(id, "ben", roles[0] ?? "writer", { userId: "ada" });
  await tasks.create({ title: "x", done: false, tags: [], spaceId: id });
  await tasks.readAll({ spaceId: null });
  const moved = await tasks.move("a", null, { userId: "ada" });
  isExactly<typeof moved, Readonly<Task>>(true);
  for await (const event of datum.events({ type: ["spaceJoined", "spaceLeft", "roleChanged"] })) isExactly<typeof event.role, SpaceRole>(true);
}

export async function firstPage(signal: AbortSignal): Promise<void> {
  await using datum = await Datum.initialize(config);
  await Datum.initialize({ entities: { tasks: {} }, remote: new Adapter() });
  await Datum.initialize({ entities: { tasks: {} }, remote: { url: "/api", headers: fixed } });
  isExactly<typeof Datum.instance, Datum>(true);

  const tasks = datum.manager<Task>("tasks");
  isExactly<typeof tasks, Manager<Task>>(true);
  const task = await tasks.create({ title: "Buy milk", done: false, tags: [] });
  isExactly<typeof task, Readonly<Task>>(true);
  await tasks.create({ id: "my-id", createdAt: "2026-01-01T00:00:00.000Z", title: "x", done: false, tags: [] }, { userId: "ada" });
  const changed: Task = await tasks.update({ ...task, done: true });
  await tasks.update(changed);
  await tasks.patch(task.id, { done: true });
  isExactly<boolean, Awaited<ReturnType<typeof tasks.delete>>>(true);
  await tasks.delete(task.id, { behavior: "hardDelete", cascade: false });
  const loaded = (await tasks.readAll({ with: ["project.owner", "tags"] })) as With<Task, { project: Project | null; tags: readonly AnyEntity[] }>[];
  const owner: string | null | undefined = loaded[0]?.project?.ownerId;
  await tasks.update({ ...task, ...loaded[0] });
  const projects: Readonly<Project>[] = await tasks.related<Project>(task, "project", { userId: "ada" });
  for await (const one of tasks.watchById(task.id, { with: ["project"] })) void one?.title;
  const plan: CascadeDeletePreview = await tasks.getDeletePlan(task.id);
  if (!plan.canDelete) console.log(owner, projects, plan.restrictedBy.map(({ entity, relation, of }) => `${entity} ${relation} ${of.id}`));
  const many: Task[] = await tasks.createMany([{ title: "a", done: false, tags: [] }]);
  await tasks.updateMany(many);
  const removed: string[] = await tasks.deleteMany(many.map(({ id }) => id));
  const read: Task | null = await tasks.read("a", { includeDeleted: true });
  const all: Task[] = await tasks.readAll();
  all.sort((a, b) => a.title.localeCompare(b.title));
  let page: Page<Readonly<Task>> = await tasks.readPage({ size: 50 });
  if (page.after !== undefined) page = await tasks.readPage({ after: page.after });
  const count: number = (await tasks.count()) + (await tasks.count(undefined, { userId: "ada" }));
  if (await tasks.exists("a")) console.log(read?.place?.floor, removed, count);

  const untyped = datum.manager("notes");
  isExactly<typeof untyped, Manager<AnyEntity>>(true);
  const note = await untyped.create({ text: "anything", nested: { deep: [1, null] } });
  await untyped.patch(note.id, { text: null });

  const result: SyncResult = await datum.synchronize("ada", { direction: "pullThenPush", forceFullSync: true, signal, force: true });
  await tasks.synchronize("ada", { conflictResolver: resolver, resolveConflicts: true, includeDeletes: false, timeout: 1 });
  if (result.skipReason === "offline") console.log(result.entities["tasks"]?.pulled);

  const feed = datum.statusForUser("ada");
  isExactly<typeof feed.current, SyncStatus>(true);
  for await (const status of feed) {
    isExactly<typeof status, SyncStatus>(true);
    if (status.status === "completed" && status.phase === undefined) break;
  }
  await datum.pauseSync();
  await datum.resumeSync("ada");

  const strategy: UserSwitchStrategy = "clearAndFetch";
  const switched: UserSwitchResult = await datum.switchUser({ oldUserId: "ada", newUserId: "bob", strategy });
  if (!switched.success && switched.error?.code === "unsyncedData") await datum.switchUser({ newUserId: "bob" });
  const left: LogoutResult = await datum.logout("bob", { flush: 0, wipe: true, force: true });
  await datum.logout("ada");
  console.log(left.unsynced[0]?.opId, left.deadLetters + left.flushed, (await datum.userIds()).includes("ada"));
  await datum.setCustomMetadata("ada", { theme: "dark", panes: [1, { wide: null }] });
  for await (const all of tasks.watchAll({ includeDeleted: true })) isExactly<typeof all, Readonly<Task>[]>(true);
  for await (const one of tasks.watchById("t1", { userId: "ada" })) isExactly<typeof one, Readonly<Task> | null>(true);
  for await (const event of datum.events({ type: "dataChanged", entity: "tasks" })) console.log(event.created.length, event.source);
  for await (const event of datum.events()) if (event.type === "syncFailed") console.log(event.error.code);
  console.log((await datum.checkHealth()).remote, datum.metrics.staleCommits);
  for await (const { kind, name, parent, outcome, durationMs, error, dropped } of datum.watchActivity({ userId: "ada" })) {
    console.log(kind satisfies Activity["kind"], name satisfies ActivityName, parent?.toFixed(), outcome === "running", durationMs?.toFixed(), error?.code satisfies DatumErrorCode | undefined, dropped);
  }
  const next: NextSyncExplanation = await datum.explainNextSync("ada");
  const { state, reasons }: OperationExplanation = await datum.explainOperation("op", { userId: "ada" });
  const [letter] = await datum.discardOperation("op", { userId: "ada" });
  const { entities, log, quota }: StorageSize = await datum.storageSize("ada");
  const tabs: readonly TabInfo[] = await datum.tabs("ada");
  console.log(letter?.code, entities["tasks"]?.tombstones, log.deadBytes, quota?.toFixed(), tabs.map(({ id, isLeader, openedAt }) => [id, isLeader, openedAt]));
  console.log(next.at, next.reason satisfies NextSyncReason, next.because, next.error?.status, state === "stopped", reasons.map(({ reason, until }) => [reason satisfies WaitReasonName, until]));
  console.log(Datum.instances.map(({ name, currentUserId }) => name + currentUserId));

  const metadata: (SyncMetadata | null)[] = [
    await datum.getSyncMetadata("ada"),
    await datum.getRemoteSyncMetadata("ada"),
    await tasks.getRemoteSyncMetadata("ada"),
    await tasks.localAdapter.getSyncMetadata("ada"),
    await tasks.remoteAdapter.getSyncMetadata("ada"),
  ];
  const explained: { result: MetadataComparison; because: string } = await datum.explainSyncMetadata("ada");
  const offered: number = await datum.acceptServer("ada", explained.result === "inSync" ? "offer" : "wipe");
  console.log(offered, explained.because);
  if ((await datum.compareSyncMetadata("ada")) === "diverged") console.log(metadata[0]?.devices["phone"]);
  await datum.clearSyncMetadata("ada", { local: true, remote: true });
  await tasks.remoteAdapter.clearSyncMetadata("ada");
  const pending: PendingOperation[] = await datum.pendingOperations("ada");
  console.log(pending.length === (await datum.pendingCount("ada")), (await datum.storageSize("ada")).quota, (await datum.requestPersistence()) === true);
  const last: SyncResult | null = await datum.getLastSyncResult("ada");
  console.log(pending.map((op) => `${op.state} ${op.blockedBy} ${op.nextAttemptAt} ${op.lastError?.message}`));
  const receipt: "applied" | "merged" | "rejected" = await datum.manager("tasks").whenSynced("t", { userId: "ada" });
  console.log(receipt);
  await datum.manager("tasks").patch("t", { n: 1 }, { dependsOn: [{ entity: "notes", id: "n" }] });
  for (const letter of await datum.deadLetters("ada")) {
    if (letter.kept && letter.base !== null && letter.blockedBy === undefined) console.log(letter.data);
    if (letter.code === "tooLarge") await datum.retryDeadLetter(letter.id, { title: "shorter" });
    else await datum.discardDeadLetter(letter.id);
  }
  for (const conflict of await datum.conflicts("ada")) await datum.resolveConflict(conflict.id, { take: "local" });
  for (const { resolver, fields } of await datum.explainMerge("tasks", "a", { userId: "ada" })) {
    const lines: string[] = fields.map(({ field, base, local, remote, taken, because }) => [field, base, local, remote, taken, because].join());
    console.log(resolver, lines);
  }
  for await (const { taken, explanation } of datum.events({ type: "conflictResolved" })) console.log(taken, explanation.fields.length);
  await datum.clearUserData("ada");
  await datum.close();
  console.log(last?.error?.code);
}

export function explain(error: unknown): string {
  if (!(error instanceof DatumError)) return "not ours";
  const code: DatumErrorCode = error.code;
  switch (code) {
    case "unauthorized":
      return "sign in again";
    case "rateLimited":
      return `wait ${error.retryAfterMs ?? 0} ms`;
    default:
      return `${error.message} ${error.entity ?? ""} ${JSON.stringify(error.toJSON())}`;
  }
}

// The app's entity types, from `initialize` to each manager.
interface Note extends Entity {
  text: string;
  deep?: { list: { at: string; by: readonly [string, number] }[]; kind: "a" | "b" };
  any: any;
  unknown: unknown;
  kind: Kind;
  brand: string & { readonly brand: "x" };
}
enum Kind {
  One = "one",
}
interface AppTypes {
  tasks: Task;
  notes: Note;
}
export async function typed(remote: RemoteAdapter, name: string): Promise<void> {
  const datum = await Datum.initialize<AppTypes>({ entities: { tasks: { mergeFields: { tags: "union" } }, notes: { beforeSave: (note) => ({ ...note, text: note.text.trim() }) } }, remote });
  const tasks = datum.manager("tasks");
  isExactly<typeof tasks, Manager<Task>>(true);
  await tasks.create({ title: "x", done: false, tags: [] });
  await tasks.patch("a", { title: "y", due: undefined }, { remove: ["due", "place"] });
  const other = datum.manager<AnyEntity>("tasks");
  await other.patch("a", {}, { remove: ["anything"], userId: "ada", dependsOn: [] });
  // Functions of an app take either.
  const both: Datum[] = [datum, await Datum.initialize({ entities: { tasks: {} }, remote }), Datum.instance];
  for (const one of both) await one.manager<Note>(name).count();
  const inferred = await Datum.initialize({ entities: { tasks: around, notes: {} }, remote });
  const notes = inferred.manager("notes");
  isExactly<typeof notes, Manager<AnyEntity>>(true);
  const given: DatumConfig<AppTypes> = { entities: { tasks: {}, notes: { conflictResolver: ({ local }) => (local?.text === "" ? { take: "remote" } : { take: "local" }) } }, remote };
  handleBackgroundSync(given);
  const again: Datum<AppTypes> = await Datum.initialize<AppTypes>(given);
  const loose: DatumConfig = given;
  const any: Datum = await Datum.initialize(loose);
  await any.manager(name).readAll();
  for await (const user of again.watchCurrentUser()) isExactly<typeof user, string | null>(true);
  for await (const event of again.events({ type: ["signedOut", "userSwitched"] })) if (event.type === "signedOut") console.log(event.source, event.wiped, event.userId);
}

// What is not JSON, converted by middleware.
interface Meeting extends Entity {
  at: Date;
  guests: Set<string>;
}
export async function converted(remote: RemoteAdapter): Promise<Date | undefined> {
  const datum = await Datum.initialize<{ meetings: Converted<Meeting> }>({
    entities: {
      meetings: {
        beforeSave: (meeting) => ({ ...meeting, at: meeting.at.toISOString(), guests: [...meeting.guests] }),
        afterRead: (meeting) => ({ ...meeting, at: new Date(meeting.at), guests: new Set(meeting.guests) }),
      },
    },
    remote,
  });
  await datum.manager("meetings").create({ at: new Date(), guests: new Set() });
  const meeting: Readonly<Meeting> | null = await datum.manager<Converted<Meeting>>("meetings").read("a");
  return meeting?.at;
}

// A function of an app that is generic over its entities.
export function open<T extends Entity & JsonFields<T>>(datum: Datum, entity: string): Manager<T> {
  return datum.manager<T>(entity);
}
export const titles = async <T extends Entity & { title: string }>(manager: Manager<T>): Promise<string[]> => (await manager.readAll()).map(({ title }) => title);

async function backups(datum: Datum, response: Response, file: File): Promise<void> {
  const stream: ReadableStream<Uint8Array> = datum.exportUser("ada", { localOnly: false, onProgress: ({ phase, lines, total }) => console.log(phase, lines / total) });
  await new Response(stream).blob();
  await datum.manager("tasks").patchMany([{ id: "a", changes: { title: "b" } }, { id: "b", changes: {}, remove: [] }], { spaceId: null });
  for await (const chunk of datum.exportUser()) isExactly<typeof chunk, Uint8Array>(true);
  const { added, kept, deadLetters } = await datum.importUser(response, { existing: "overwrite", asNew: true, dryRun: true, signal: AbortSignal.timeout(1) });
  console.log(added + kept + deadLetters);
  await datum.importUser(file);
  await datum.importUser(datum.exportUser(null), { userId: "bob" });
  isExactly<Promise<Blob>, ReturnType<typeof datum.exportTrace>>(true);
}
void backups;
