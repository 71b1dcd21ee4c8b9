// The builder of queries: what its types take, and what they refuse.
import type { AnyEntity, Entity, EntitySyncState, Manager, Query } from "datum-sync";
import { from, query, type FieldPath, type ValueAt } from "../../src/js/query/index.js";

interface Task extends Entity {
  title: string;
  priority: number;
  done: boolean;
  due?: string | null;
  tags: string[];
  owner?: { name: string; teams: { id: number }[] };
  place: { latitude: number; longitude: number };
}

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;
function isExactly<A, B>(_: Equal<A, B>): void {}

const tasks = query<Task>();
const built: Query = tasks
  .where("priority").greaterThan(2)
  .where("owner.teams.0.id").isIn([1, 2])
  .where("tags").arrayContains("work")
  .where("due").isNull(false)
  .where("title").matches(/^a/i)
  .where("place").withinDistance({ latitude: 52.5, longitude: 13.4, metres: 500 })
  .any((q) => q.where("done").equals(true), (q) => q.where("due").lessThan("2026-01-01"))
  .not((q) => q.where("title").containsIgnoreCase("x"))
  .orderBy("createdAt", "desc", { nulls: "last" })
  .orderBy("owner.name")
  .limit(50).offset(10).with("project.owner").includeDeleted()
  .build();
void built;

isExactly<ValueAt<Task, "priority">, number>(true);
isExactly<ValueAt<Task, "owner.name">, string>(true);
isExactly<ValueAt<Task, "tags.0">, string>(true);
isExactly<ValueAt<Task, "owner.teams.1.id">, number>(true);
isExactly<FieldPath<AnyEntity>, string>(true);
query<AnyEntity>().where("anything.at.all").equals({ x: [1, null] });

// @ts-expect-error: no such field.
tasks.where("prioritaet");
// @ts-expect-error: no such part.
tasks.where("owner.nam");
// @ts-expect-error: no such field.
tasks.orderBy("createdat");
// @ts-expect-error: the field has another type.
tasks.where("priority").equals("high");
// @ts-expect-error: null is no end of a range.
tasks.where("due").lessThan(null);
// @ts-expect-error: a number has no parts.
tasks.where("priority").contains("1");
// @ts-expect-error: a string has no items.
tasks.where("title").arrayContains("x");
// @ts-expect-error: items have another type.
tasks.where("tags").arrayContainsAny([1]);
// @ts-expect-error: a direction is "asc" or "desc".
tasks.orderBy("title", "down");
// @ts-expect-error: a condition is finished before the query is.
tasks.where("title").build();

declare const manager: Manager<Task>;
const found: Promise<Readonly<Task>[]> = from(manager).where("priority").greaterThan(2).query();
const begun: Promise<Readonly<Task>[]>[] = [
  manager.where("priority").greaterThan(2).orderBy("createdAt", "desc").limit(50).query(),
  manager.orderBy("due", "desc", { nulls: "last" }).query(),
  manager.limit(3).query(),
];
void begun;
// @ts-expect-error: no such field.
manager.where("prioritaet");
// @ts-expect-error: the field has another type.
manager.where("priority").equals("high");
const first: Promise<Readonly<Task> | null> = from(manager, { spaceId: null }).orderBy("due").first();
void [found, first, from(manager).where("done").equals(true).count(), manager.count(tasks.where("done").equals(true))];
async function watched(): Promise<void> {
  for await (const list of from(manager).limit(5).watch()) isExactly<typeof list, Readonly<Task>[]>(true);
  for await (const edits of manager.watchQuery({ limit: 5 }).changes()) if (edits[0]?.type === "move") void edits[0].from?.toFixed();
  for await (const count of manager.watchCount()) void count.toFixed();
  (await manager.readPage({ size: 5 })).total.toFixed();
  const page = await manager.readPage({ size: 5, query: tasks.orderBy("due") });
  void page.items[0]?.priority.toFixed();
  // @ts-expect-error: a page of a query does not count.
  page.total.toFixed();
  (await manager.explain({ where: { field: "due", isNull: true } })).reason.trim();
}
void watched;

const states = { withSyncState: true } as const;
async function withStates(): Promise<void> {
  const read = await manager.read("t", { withSyncState: true, includeDeleted: true });
  const all = await manager.readAll({ withSyncState: true });
  const page = await manager.readPage({ size: 5 }, states);
  page.total.toFixed();
  (await manager.readPage({ size: 5 }, { with: ["project.owner"] })).total.toFixed();
  const shown: (EntitySyncState | undefined)[] = [read?.$syncState, all[0]?.$syncState, page.items[0]?.$syncState];
  void shown;
  for await (const list of manager.watchAll(states)) void list[0]?.$syncState.trim();
  for await (const task of manager.watchById("t", states)) void task?.$syncState.trim();
  const plain = await manager.readAll({ includeDeleted: true });
  isExactly<typeof plain, Readonly<Task>[]>(true);
  // @ts-expect-error: the state was not asked for.
  void plain[0]?.$syncState;
  // @ts-expect-error: a count has no entities.
  await manager.count({}, states);
}
void withStates;
