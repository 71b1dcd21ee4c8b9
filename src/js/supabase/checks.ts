import { DatumError } from "datum-sync";

/** What a call got that is wrong, as initialize says it of a config. */
const refuse = (message: string): never => {
  throw new DatumError("invalidConfig", message);
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Throws unless the value has a method: an app without TypeScript may hand over anything, and would hear of it in the middle of a cycle. */
export function checkMethod(value: unknown, method: string, message: string): void {
  if (typeof (value as Record<string, unknown> | null | undefined)?.[method] !== "function") refuse(message);
}

const WORDS: Readonly<Record<string, string>> = { ms: "a number of milliseconds", positive: "a number of milliseconds above 0" };

/** Throws unless the options are of these kinds. */
export function checkOptions(where: string, options: unknown, kinds: Readonly<Record<string, readonly string[]>>): void {
  if (!isObject(options)) return refuse(`${where} must be an object.`);
  for (const [name, value] of Object.entries(options)) {
    const kind = kinds[name];
    if (kind === undefined) return refuse(`${where} has no option \`${name}\`; there are ${Object.keys(kinds).join(", ")}.`);
    const is = value === null ? "null" : value === false ? "false" : typeof value === "number" ? (value > 0 ? "positive" : value === 0 ? "ms" : String(value)) : isObject(value) ? "object" : typeof value;
    const fits = kind.includes(is) || (is === "positive" && kind.includes("ms"));
    if (value !== undefined && !fits) return refuse(`${where}: \`${name}\` is ${is === "ms" ? "0" : is}; it must be ${kind.map((one) => WORDS[one] ?? one).join(" or ")}.`);
  }
}

/** Throws unless the tables are named. */
export function checkTables(tables: unknown): void {
  const { entities } = tables as Record<string, unknown>;
  if (!isObject(entities)) return refuse('supabaseRemote: `tables.entities` must name the table of each entity type, as in { entities: { tasks: "tasks" } }.');
  checkOptions("supabaseRemote: `tables`", tables, { entities: ["object"], metadata: ["string", "null"], overlap: ["ms"], reconcile: ["ms"], serverId: ["string"] });
  for (const [entity, table] of Object.entries(entities)) {
    const where = `supabaseRemote: \`tables.entities.${entity}\``;
    if (typeof table === "string" && table !== "") continue;
    if (!isObject(table)) return refuse(`${where} must be the table's name, or an object.`);
    checkOptions(where, table, { table: ["string"], snakeCase: ["boolean", "false"], columns: ["object"] });
    const text = ["string"];
    const maybe = ["string", "null"];
    if (table["columns"] !== undefined) checkOptions(`${where}.columns`, table["columns"], { id: text, userId: maybe, version: text, createdAt: text, modifiedAt: text, isDeleted: maybe });
  }
}
