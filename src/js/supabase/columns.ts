import type { Json } from "datum-sync";
import type { TableOptions } from "./options.js";

/** A row as PostgREST has it. */
export type Row = Record<string, Json>;
type Fields = Record<string, Json>;

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Between the fields of an entity type and the columns of its table. */
export class Mapping {
  readonly table: string;
  readonly id: string;
  readonly userId: string | null;
  readonly version: string;
  readonly modifiedAt: string;
  readonly isDeleted: string | null;
  #createdAt: string;
  #isSnake: boolean;

  constructor(
    readonly entity: string,
    { table = entity, snakeCase = true, columns = {} }: TableOptions,
  ) {
    const name = (field: string) => (snakeCase ? snake(field) : field);
    this.table = table;
    this.#isSnake = snakeCase;
    this.id = columns.id ?? "id";
    this.userId = columns.userId === undefined ? name("userId") : columns.userId;
    this.version = columns.version ?? "version";
    this.#createdAt = columns.createdAt ?? name("createdAt");
    this.modifiedAt = columns.modifiedAt ?? name("modifiedAt");
    this.isDeleted = columns.isDeleted === undefined ? name("isDeleted") : columns.isDeleted;
  }

  /** Returns the columns of fields, without those that the engine owns. */
  columns(fields: Fields): Row {
    const row: Row = {};
    for (const [field, value] of Object.entries(fields)) {
      if (field === "createdAt") row[this.#createdAt] = value;
      else if (field !== "modifiedAt") row[this.#isSnake ? snake(field) : field] = value;
    }
    return row;
  }

  /** Returns the fields of a row, without what is beside the data. */
  fields(row: Row): Fields {
    const fields: Fields = {};
    for (const [column, value] of Object.entries(row)) {
      if (column === this.id || column === this.userId || column === this.version || column === this.isDeleted) continue;
      if (column === this.#createdAt) fields["createdAt"] = time(value);
      else if (column === this.modifiedAt) fields["modifiedAt"] = time(value);
      else fields[this.#isSnake ? camel(column) : column] = value;
    }
    return fields;
  }

  isLive(row: Row): boolean {
    return this.isDeleted === null || row[this.isDeleted] !== true;
  }

  versionOf(row: Row): number {
    return Number(row[this.version]);
  }
}

/** A time as the engine has it; what is none stays as it is. */
function time(value: Json): Json {
  const ms = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? value : new Date(ms).toISOString();
}

/** Whether two JSON values are equal, in any order of keys. Texts of one time, which columns write in their own way, are. */
export function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (typeof a === "string" && typeof b === "string") return /^\d{4}-\d\d-\d\d/.test(a) && /^\d{4}-\d\d-\d\d/.test(b) && Date.parse(a) === Date.parse(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const [ours, theirs] = [a as Fields, b as Fields];
  const keys = Object.keys(ours);
  return keys.length === Object.keys(theirs).length && keys.every((key) => isSame(ours[key], theirs[key]));
}
