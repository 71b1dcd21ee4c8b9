// What an app passes as a config or as options is refused if it is wrong, and the message names the field and the fix.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "./lib/test.mjs";
import { installPackage } from "./lib/package.mjs";

let installed, Datum, DatumError;
before(async () => {
  installed = await installPackage();
  ({ Datum, DatumError } = await import(pathToFileURL(join(installed.root, "node_modules/datum-sync/node.js"))));
});
after(() => installed?.remove());

const REMOTE = { pull: async () => ({ changes: [], cursor: "c", more: false }), push: async () => ({ results: [] }) };

async function refused(call, code, words, what) {
  let error;
  try {
    await call();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof DatumError, `${what}: ${error}`);
  assert.equal(error.code, code, what);
  for (const word of words) assert.ok(error.message.includes(word), `${what}: ${error.message} has no ${word}`);
}

const CONFIGS = [
  [[], "The config", "must be an object"],
  [{}, "`entities`", "at least one entity type"],
  [{ entities: {} }, "`entities`", "at least one entity type"],
  [{ entities: [] }, "`entities`", "must be an object"],
  [{ entities: { "": {} } }, "`entities.`", "is no name"],
  [{ entities: { tasks: 1 } }, "`entities.tasks`", "must be an object"],
  [{ entities: { tasks: { deleteBehaviour: 1 } } }, "`entities.tasks.deleteBehaviour`", "conflictResolver, deleteBehavior, localOnly"],
  [{ entities: { tasks: { localOnly: ["a", ""] } } }, "`entities.tasks.localOnly`", "empty name"],
  [{ entities: { tasks: { localOnly: ["a", "version"] } } }, "`entities.tasks.localOnly`", "`version`, which the engine owns"],
  [{ entities: { tasks: { relations: { project: { belongsTo: "projects", foreignKey: "p" } } } } }, "`entities`", "a relation to `projects`, which is no entity type"],
  [{ entities: { tasks: { relations: { tags: { manyToMany: "tasks", through: "joins", thisKey: "a", otherKey: "b" } } } } }, "`entities`", "a relation to `joins`, which is no entity type"],
  [{ entities: { tasks: { relations: { tags: { manyToMany: "tasks", through: "tasks", thisKey: "a" } } } } }, "`entities.tasks.relations.tags`", "needs `otherKey`"],
  [{ entities: { tasks: { relations: { all: { hasMany: "tasks", hasOne: "tasks", foreignKey: "p" } } } } }, "`entities.tasks.relations.all`", "one of belongsTo, hasOne"],
  [{ entities: { tasks: { relations: { all: { hasMany: "tasks", foreignKey: "p", onDelete: "delete" } } } } }, "`entities.tasks.relations.all.onDelete`", '"cascade"'],
  [{ entities: { tasks: { relations: { parent: { belongsTo: "tasks", foreignKey: "p", onDelete: "cascade" } } } } }, "`entities.tasks.relations.parent.onDelete`", "is not known"],
  [{ entities: { tasks: { relations: { "a.b": { belongsTo: "tasks", foreignKey: "p" } } } } }, "`entities.tasks.relations.a.b`", "no name for a relation"],
  [{ entities: { tasks: { relations: { version: { belongsTo: "tasks", foreignKey: "p" } } } } }, "`entities.tasks.relations.version`", "no name for a relation"],
  [{ entities: { tasks: { relations: { parent: { belongsTo: "tasks" } } } } }, "`entities.tasks.relations.parent`", 'foreignKey: "projectId"'],
  [{ entities: { tasks: { relations: { parent: { belongsTo: "tasks", foreignKey: "id" } } } } }, "`entities.tasks.relations.parent.foreignKey`", "of the app's own"],
  [{ entities: { tasks: { relations: { parent: { belongsTo: "tasks", foreignKey: "$syncState" } } } } }, "`entities.tasks.relations.parent.foreignKey`", "of the app's own"],
  [{ entities: { tasks: { onRejected: "keep" } } }, "`entities.tasks.onRejected`", '"revert", "keepLocal"'],
  [{ entities: { tasks: { localOnly: [1] } } }, "`entities.tasks.localOnly[0]`", "must be a string"],
  [{ entities: { tasks: { deleteBehavior: "soft" } } }, "`entities.tasks.deleteBehavior`", '"softDelete", "hardDelete"'],
  [{ entities: { tasks: { localOnly: ["draft"], mergeFields: { votes: "add" } } } }, "`entities.tasks.mergeFields.votes`", '"sum", "union", "text"'],
  [{ entities: { tasks: { localOnly: ["draft"], mergeFields: { version: "max" } } } }, "`entities.tasks.mergeFields.version`", "the engine owns"],
  [{ entities: { tasks: { localOnly: ["draft"], mergeFields: { "userId.x": "max" } } } }, "`entities.tasks.mergeFields.userId.x`", "the engine owns"],
  [{ entities: { tasks: { localOnly: ["draft"], mergeFields: { "a..b": "max" } } } }, "`entities.tasks.mergeFields.a..b`", "such as `address.city`"],
  [{ entities: { tasks: { localOnly: ["draft"], mergeFields: { draft: "text" } } } }, "`entities.tasks.mergeFields.draft`", "`localOnly`"],
  [{ entities: { tasks: { indexes: "due" } } }, "`entities.tasks.indexes`", "must be an array"],
  [{ entities: { tasks: { indexes: ["due", 1] } } }, "`entities.tasks.indexes[1]`", 'such as "createdAt"'],
  [{ entities: { tasks: { indexes: [[]] } } }, "`entities.tasks.indexes[0]`", "1 to 16 fields"],
  [{ entities: { tasks: { indexes: ["a..b"] } } }, "`entities.tasks.indexes[0]`", "must be a field"],
  [{ entities: { tasks: { indexes: ["a\\b"] } } }, "`entities.tasks.indexes[0]`", "must be a field"],
  [{ entities: { tasks: { indexes: ["$syncState"] } } }, "`entities.tasks.indexes[0]`", "must be a field"],
  [{ entities: { tasks: { indexes: ["a", ["a", "b"], ["a"]] } } }, "`entities.tasks.indexes[2]`", "is there already"],
  [{ entities: { tasks: { indexes: Array.from({ length: 17 }, (_, n) => `f${n}`) } } }, "`entities.tasks.indexes`", "more than 16"],
  [{ entities: { tasks: { conflictResolver: 1 } } }, "`entities.tasks.conflictResolver`", '"merge", "lastWriteWins"'],
];

const MEMBERS = [
  [{ nmae: "x" }, "`nmae`", "known are name, entities,"],
  [{ name: 7 }, "`name`", "must be a string"],
  [{ autoSyncInterval: 0 }, "`autoSyncInterval`", "from 1000 to 86400000"],
  [{ autoSyncInterval: -1 }, "`autoSyncInterval`", "from 1000 to 86400000"],
  [{ syncAfterWrite: true }, "`syncAfterWrite`", "from 0 to 3600000, or false"],
  [{ coldStart: { strategy: "priorityBased" } }, "`coldStart.strategy`", "adaptive"],
  [{ coldStart: { maxDuration: 0 } }, "`coldStart.maxDuration`", "from 1"],
  [{ coldStart: true }, "`coldStart`", "must be an object"],
  [{ name: "a/b" }, "`name`", "must not contain `/`"],
  [{ name: "" }, "`name`", "is no name"],
  [{ syncTimeout: 0 }, "`syncTimeout`", "a whole number from 1 to 86400000"],
  [{ syncTimeout: 1.5 }, "`syncTimeout`", "a whole number"],
  [{ syncTimeout: -1 }, "`syncTimeout`", "a whole number"],
  [{ syncTimeout: "5" }, "`syncTimeout`", "a whole number"],
  [{ memoryBudget: 1e21 }, "`memoryBudget`", "a whole number"],
  [{ trace: "yes" }, "`trace`", "must be an object"],
  [{ trace: { maxBytes: 5 } }, "`trace.maxBytes`", "a whole number", "65536"],
  [{ persist: "yes" }, "`persist`", "true, false"],
  [{ schemaVersion: 4294967296 }, "`schemaVersion`", "to 4294967295"],
  [{ migrations: 7 }, "`migrations`", "an array of migrations", '"datum-sync/migrations"'],
  [{ migrations: [] }, "The migrations", "at least one"],
  [{ migrations: [{ from: 0, to: 1 }] }, "`migrations[0]`", "either `migrate` or `operations`"],
  [{ schemaVersion: 3, migrations: [{ from: 1, to: 2, operations: [{ remove: "old" }] }] }, "The config", "`migrations` lead to version 2", "is 3"],
  [{ onMigrationError: "console" }, "`onMigrationError`", "must be a function"],
  [{ schemaField: "" }, "`schemaField`", "a field of the app's own"],
  [{ schemaField: "version" }, "`schemaField`", "a field of the app's own"],
  [{ schemaField: "v", entities: { tasks: { localOnly: ["v"] } } }, "`schemaField`", "`localOnly` of `tasks`"],
  [{ retry: 3 }, "`retry`", "must be an object"],
  [{ retry: { attempts: 3 } }, "`retry.attempts`", "known are maxAttempts, factor, initial, max, jitter"],
  [{ retry: { maxAttempts: 0 } }, "`retry.maxAttempts`", "a whole number from 1 to 100"],
  [{ retry: { factor: 0.5 } }, "`retry.factor`", "a number from 1 to 100"],
  [{ retry: { factor: true } }, "`retry.factor`", "must be a number"],
  [{ retry: { jitter: "some" } }, "`retry.jitter`", '"full", "none"'],
  [{ defaultSyncDirection: "both" }, "`defaultSyncDirection`", '"pushThenPull"'],
  [{ defaultSyncOptions: { timeout: 0 } }, "`defaultSyncOptions.timeout`", "greater than 0"],
  [{ defaultSyncOptions: { fast: true } }, "`defaultSyncOptions.fast`", "is not known"],
  [{ syncRequestStrategy: "queue" }, "`syncRequestStrategy`", '"joinInFlight"'],
  [{ durability: { local: "maybe" } }, "`durability.local`", '"strict", "relaxed"'],
  [{ durability: { remote: "strict" } }, "`durability.remote`", "known are local, pulled"],
  [{ excludedSyncUserIds: "guest" }, "`excludedSyncUserIds`", "must be an array"],
  [{ excludedSyncUserIds: ["a", 1] }, "`excludedSyncUserIds[1]`", "must be a string"],
];

const SYNC_OPTIONS = [
  [{ froce: true }, "`froce`", "known are timeout, direction"],
  [{ force: 1 }, "`force`", "must be true or false"],
  [{ direction: "up" }, "`direction`", '"pullOnly"'],
  [{ overrideBatchSize: 0 }, "`overrideBatchSize`", "from 1 to 10000"],
  [{ overrideBatchSize: 10001 }, "`overrideBatchSize`", "from 1 to 10000"],
  [{ timeout: -1 }, "`timeout`", "greater than 0"],
  [{ timeout: "soon" }, "`timeout`", "must be a number"],
  [{ scope: "tasks" }, "`scope`", "must be an object"],
  [{ scope: { name: "" } }, "`scope.name`", "must not be empty"],
  [{ scope: { entities: [""] } }, "`scope.entities`", "no name of an entity type"],
  [{ scope: { entity: "tasks" } }, "`scope.entity`", "known are entities, query, name"],
  [{ conflictResolver: "mine" }, "`conflictResolver`", '"merge"'],
];

const EXPORT = [
  [{ localOnly: "no" }, "`localOnly`", "must be true or false"],
  [{ userId: "ann" }, "`userId`", "known are localOnly, signal, onProgress"],
  [{ signal: { aborted: false } }, "`signal`", "an AbortSignal"],
  [{ onProgress: 1 }, "`onProgress`", "a function"],
  [7, "The options of `exportUser`", "must be an object"],
];

const IMPORT = [
  [{ existing: "replace" }, "`existing`", '"keep", "overwrite", "fail"'],
  [{ asNew: 1 }, "`asNew`", "must be true or false"],
  [{ dryrun: true }, "`dryrun`", "known are userId, existing, asNew, dryRun, signal, onProgress"],
  [{ userId: 7 }, "`userId`", "must be a string"],
  [{ signal: "stop" }, "`signal`", "an AbortSignal"],
  [{ onProgress: {} }, "`onProgress`", "a function"],
  [[], "The options of `importUser`", "must be an object"],
];

test("a wrong config is refused, and the message names the field and the fix", async () => {
  const refuses = (config, words) => refused(() => Datum.initialize(config), "invalidConfig", words, JSON.stringify(config));
  for (const [wrong, ...words] of CONFIGS) await refuses(Array.isArray(wrong) ? wrong : { remote: REMOTE, ...wrong }, words);
  for (const [wrong, ...words] of MEMBERS) await refuses({ remote: REMOTE, entities: { tasks: {} }, ...wrong }, words);
});

test("wrong options are refused, and the message names the field and the fix", async () => {
  const datum = await Datum.initialize({ name: "options", remote: REMOTE, entities: { tasks: {} }, initialUserId: "ann" });
  for (const [wrong, ...words] of SYNC_OPTIONS) {
    await refused(() => datum.synchronize("ann", wrong), "invalidArgument", words, JSON.stringify(wrong));
  }
  for (const [wrong, ...words] of EXPORT) await refused(() => datum.exportUser("ann", wrong), "invalidArgument", words, JSON.stringify(wrong));
  for (const [wrong, ...words] of IMPORT) await refused(() => datum.importUser("", wrong), "invalidArgument", words, JSON.stringify(wrong));
  await datum.close();
});
