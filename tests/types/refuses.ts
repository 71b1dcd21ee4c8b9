// Mistakes that the types must catch: none of this compiles.
import { Datum, DatumError, Manager } from "datum-sync";
import { migrations } from "datum-sync/migrations";
import type { AnyEntity, DatumConfig, Entity, EntityConfig, RemoteAdapter, SyncMetadata } from "datum-sync";

interface Task extends Entity {
  title: string;
  done: boolean;
}
declare const datum: Datum;
declare const tasks: Manager<Task>;
declare const task: Readonly<Task>;

// @ts-expect-error: paths are a list.
void tasks.readAll({ with: "project" });
// @ts-expect-error: an entity, or its id.
void tasks.related(7, "project");

// @ts-expect-error: instances come from `initialize`.
new Datum();
// @ts-expect-error: managers come from `manager`.
new Manager<Task>();
// @ts-expect-error: a config needs entities.
void Datum.initialize({ remote: { url: "/api" } });
// @ts-expect-error: a config needs a remote.
void Datum.initialize({ entities: { tasks: {} } });
// @ts-expect-error: an unknown key is a mistake.
void Datum.initialize({ entities: { tasks: {} }, remote: { url: "/api" }, autoSink: true });
// @ts-expect-error: an unknown key is a mistake, with entity types too.
void Datum.initialize<{ tasks: Task }>({ entities: { tasks: {} }, remote: { url: "/api" }, autoSink: true });

// The app's entity types.
declare const typed: Datum<{ tasks: Task; notes: AnyEntity }>;
// @ts-expect-error: no such entity type.
typed.manager("taskz");
// @ts-expect-error: no such entity type, with a type argument.
typed.manager<Task>("taskz");
// @ts-expect-error: a name that is only known at run time may be none of them.
typed.manager("tasks" as string);
// @ts-expect-error: the names are taken from the config too.
void Datum.initialize({ entities: { tasks: {} }, remote: { url: "/" } }).then((datum) => datum.manager("taskz"));
// @ts-expect-error: `notes` is missing in the config.
void Datum.initialize<{ tasks: Task; notes: AnyEntity }>({ entities: { tasks: {} }, remote: { url: "/" } });
// @ts-expect-error: `notes` is not an entity type.
void Datum.initialize<{ tasks: Task }>({ entities: { tasks: {}, notes: {} }, remote: { url: "/" } });
// @ts-expect-error: `done` is missing.
void typed.manager("tasks").create({ title: "x" });
// @ts-expect-error: no such field.
void Datum.initialize<{ tasks: Task }>({ entities: { tasks: { mergeFields: { votes: "sum" } } }, remote: { url: "/" } });
// @ts-expect-error: an entity type extends Entity.
void Datum.initialize<{ tasks: { title: string } }>({ entities: { tasks: {} }, remote: { url: "/" } });

// Entity types promise nothing that JSON loses.
// @ts-expect-error: a Date comes back as a string.
datum.manager<Task & { due: Date }>("tasks");
// @ts-expect-error: or null.
datum.manager<Task & { due?: Date | null }>("tasks");
// @ts-expect-error: a Set is refused.
datum.manager<Task & { tags: Set<string> }>("tasks");
// @ts-expect-error: a Map, within an object, within an array.
datum.manager<Task & { deep: { list: { map: Map<string, number> }[] } }>("tasks");
// @ts-expect-error: a BigInt.
datum.manager<Task & { n: bigint }>("tasks");
// @ts-expect-error: a function.
datum.manager<Task & { run: () => void }>("tasks");
// @ts-expect-error: bytes.
datum.manager<Task & { image: Uint8Array }>("tasks");
// @ts-expect-error: a hole in an array.
datum.manager<Task & { list: (string | undefined)[] }>("tasks");
// @ts-expect-error: a class with methods.
datum.manager<Task & { money: Money }>("tasks");
// @ts-expect-error: in the types of the app.
void Datum.initialize<{ tasks: Task & { due: Date } }>({ entities: { tasks: {} }, remote: { url: "/" } });
declare class Money {
  amount: number;
  add(other: Money): Money;
}

// @ts-expect-error: an unknown key of an HTTP remote.
export const unknownRemoteKey: DatumConfig = { entities: {}, remote: { url: "/api", header: {} } };
// @ts-expect-error: an HTTP remote needs a url.
export const noUrl: DatumConfig = { entities: {}, remote: { headers: {} } };
// @ts-expect-error: header values are strings.
export const badHeader: DatumConfig = { entities: {}, remote: { url: "/", headers: { "X-Count": 1 } } };
// @ts-expect-error: `include`, not true.
export const badCredentials: DatumConfig = { entities: {}, remote: { url: "/", credentials: true } };
// @ts-expect-error: `afterRead` returns the entity.
export const noEntity: EntityConfig<Task> = { afterRead: () => undefined };
// @ts-expect-error: middleware is synchronous.
export const tooLate: EntityConfig<Task> = { afterRead: async (task) => task };
// @ts-expect-error: a chain is an array.
export const noChain: EntityConfig<Task> = { middleware: { afterRead: (task) => task } };
// @ts-expect-error: an array of names.
export const oneName: EntityConfig<Task> = { localOnly: "draft" };
// @ts-expect-error: an array of fields.
export const oneIndex: EntityConfig<Task> = { indexes: "due" };
// @ts-expect-error: no such durability.
export const badDurability: DatumConfig = { entities: {}, remote: { url: "/" }, durability: { local: "sometimes" } };

// @ts-expect-error: no such strategy.
export const badColdStart: DatumConfig = { entities: {}, remote: { url: "/" }, coldStart: { strategy: "priorityBased" } };
// @ts-expect-error: false, or milliseconds.
export const badAfterWrite: DatumConfig = { entities: {}, remote: { url: "/" }, syncAfterWrite: true };
// @ts-expect-error: the interval is a number of milliseconds.
datum.startAutoSync("ada", { interval: "15m" });

// @ts-expect-error: the engine's statics cannot be set.
Datum.instance = datum;
// @ts-expect-error: an entity type extends Entity.
datum.manager<{ title: string }>("tasks");
// @ts-expect-error: the entity type is required.
datum.manager<Task>();

// @ts-expect-error: `done` is missing.
void tasks.create({ title: "x" });
// @ts-expect-error: `titel` is misspelt.
void tasks.create({ titel: "x", title: "x", done: false });
// @ts-expect-error: a title is a string.
void tasks.create({ title: 1, done: false });
// @ts-expect-error: entities are read-only.
task.title = "y";
// @ts-expect-error: `update` takes a whole entity.
void tasks.update({ title: "x", done: true });
// @ts-expect-error: `patch` cannot change the engine's fields.
void tasks.patch("a", { version: 3 });
// @ts-expect-error: no such field.
void tasks.patch("a", { titel: "x" });
// @ts-expect-error: a title is not null.
void tasks.patch("a", { title: null });
// @ts-expect-error: an entity needs its title.
void tasks.patch("a", {}, { remove: ["title"] });
// @ts-expect-error: nor can the engine's fields be removed.
void tasks.patch("a", {}, { remove: ["version"] });
// @ts-expect-error: an update has no `remove`.
void tasks.update(task, { remove: ["due"] });
// @ts-expect-error: no such event.
datum.events({ type: ["dataChanged", "changed"] });
// @ts-expect-error: an id is a string.
void tasks.read(7);
// @ts-expect-error: an array of drafts.
void tasks.createMany({ title: "x", done: false });
// @ts-expect-error: there may be no such entity.
void tasks.read("a").then((read) => read.title);
// @ts-expect-error: soft or hard.
void tasks.delete("a", { behavior: "gone" });
// @ts-expect-error: the last page has no `after`.
void tasks.readPage().then((page): string => page.after);

// @ts-expect-error: a user is required.
void datum.synchronize();
// @ts-expect-error: no such direction.
void datum.synchronize("ada", { direction: "both" });
// @ts-expect-error: no such option.
void datum.synchronize("ada", { forceFullsync: true });
// @ts-expect-error: a number of milliseconds.
void datum.synchronize("ada", { timeout: "1s" });
// @ts-expect-error: a resolver decides.
void tasks.synchronize("ada", { conflictResolver: () => undefined });
// @ts-expect-error: a merged result is a whole entity.
void tasks.synchronize("ada", { conflictResolver: () => ({ take: "merged", data: { title: "x" } }) });
// @ts-expect-error: no such policy.
export const badPolicy: EntityConfig<Task> = { mergeFields: { title: "newest" } };
// @ts-expect-error: the engine merges its own fields.
export const badField: EntityConfig<Task> = { mergeFields: { version: "max" } };
// @ts-expect-error: no such field.
export const noField: EntityConfig<Task> = { mergeFields: { votes: "sum" } };
// @ts-expect-error: explanations are read-only.
void datum.explainMerge("tasks", "a").then((all) => (all[0]!.fields[0]!.because = ""));
// @ts-expect-error: no such resolver.
void tasks.synchronize("ada", { conflictResolver: "newest" });
// @ts-expect-error: a default signal would stop every cycle.
export const badDefault: DatumConfig = { entities: {}, remote: { url: "/" }, defaultSyncOptions: { signal: new AbortController().signal } };
// @ts-expect-error: the latest status is read-only.
datum.statusForUser("ada").current = undefined;
// @ts-expect-error: there may be no metadata.
void datum.getSyncMetadata("ada").then((metadata: SyncMetadata) => metadata);

// @ts-expect-error: a new user is required.
void datum.switchUser({ oldUserId: "ada" });
// @ts-expect-error: what becomes of the data has to be said.
void datum.acceptServer("ada");
// @ts-expect-error: no such choice.
void datum.acceptServer("ada", "keep");
// @ts-expect-error: the result is a member.
void (async (): Promise<boolean> => (await datum.explainSyncMetadata("ada")) === "inSync");
// @ts-expect-error: an object, not two ids.
void datum.switchUser("ada", "bob");
// @ts-expect-error: no such strategy.
void datum.switchUser({ newUserId: "bob", strategy: "ask" });
// @ts-expect-error: milliseconds.
void datum.logout("ada", { flush: true });
// @ts-expect-error: a user is required.
void datum.logout();
// @ts-expect-error: metadata is JSON.
void datum.setCustomMetadata("ada", { seen: new Date() });
// @ts-expect-error: no such strategy.
export const badSwitch: DatumConfig = { entities: {}, remote: { url: "/" }, defaultUserSwitchStrategy: "never" };

// @ts-expect-error: a migration is synchronous.
migrations([{ from: 1, to: 2, migrate: async (entity) => entity }]);
// @ts-expect-error: a migration does something.
migrations([{ from: 1, to: 2 }]);
// @ts-expect-error: `add` has a value.
migrations([{ from: 1, to: 2, operations: [{ add: "tags" }] }]);
// @ts-expect-error: an operation does one thing.
export const bareMigrations: DatumConfig = { entities: {}, remote: { url: "/" }, schemaVersion: 2, migrations: [{ from: 1, to: 2, operations: [{ drop: "old" }] }] };

// @ts-expect-error: what is here is kept, overwritten, or a reason to fail.
void datum.importUser("", { existing: "replace" });
// @ts-expect-error: an export is of one user, which is the first argument.
datum.exportUser("ada", { userId: "bob" });
// @ts-expect-error: a file is no plain object.
void datum.importUser({ lines: [] });

// @ts-expect-error: on or off.
export const badRealtime: DatumConfig = { entities: {}, remote: { url: "/" }, realtime: "yes" };
// @ts-expect-error: `subscribe` returns a function that ends the subscription.
export const endless: Pick<RemoteAdapter, "subscribe"> = { subscribe: () => 7 };
// @ts-expect-error: a relation is of one kind.
export const unrelated: EntityConfig = { relations: { tasks: { foreignKey: "project" } } };
// @ts-expect-error: `manyToMany` goes through a type.
export const unjoined: EntityConfig = { relations: { tags: { manyToMany: "tags", thisKey: "task", otherKey: "tag" } } };
// @ts-expect-error: no such rule.
export const unruly: EntityConfig = { relations: { tasks: { hasMany: "tasks", foreignKey: "project", onDelete: "delete" } } };
// @ts-expect-error: `belongsTo` goes by a field of the type.
export const unkeyed: EntityConfig<Task> = { relations: { project: { belongsTo: "projects", foreignKey: "projectId" } } };

// @ts-expect-error: an adapter needs `push`.
export const half: RemoteAdapter = { pull: async () => ({ changes: [], cursor: "1", more: false }) };
export const wrong: RemoteAdapter = {
  // @ts-expect-error: a page has a cursor.
  pull: async () => ({ changes: [], more: false }),
  // @ts-expect-error: an applied operation has a version.
  push: async (request) => ({ results: request.operations.map(({ opId }) => ({ opId, status: "applied" as const })) }),
};

declare const shared: Datum;
// @ts-expect-error: no such role.
void shared.spaces().setRole("a", "ben", "admin");
// @ts-expect-error: a move names its space, or null for the personal one.
void shared.manager("tasks").move("a");

// @ts-expect-error: no such code.
new DatumError("oops", "x");
// @ts-expect-error: codes cannot be changed.
new DatumError("network", "x").code = "offline";
// @ts-expect-error: no such code.
export const compared: boolean = new DatumError("network", "x").code === "netwrok";
