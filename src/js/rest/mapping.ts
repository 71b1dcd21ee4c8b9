import { DatumError, type Json } from "datum-sync";
import type { RestEntity, Row } from "./options.js";

/** A row of the API, read. */
export interface ReadRow {
  id: string;
  /** Even. An odd one is that of a row that is gone: one more than the version that the device had. */
  version: number;
  isDeleted: boolean;
  /** When the API changed it, in milliseconds; NaN where it does not say. */
  at: number;
  row: Row;
}

const isObject = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);
/** A date, a time and a zone, as databases and languages write them: with a space between, hours alone in the zone, or its name. */
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?) ?(Z|UTC|GMT|([+-]\d\d)(?::?(\d\d))?)?$/i;

/** Returns microseconds since 1970 of a time in any of the forms that APIs have: ISO 8601, without a zone in UTC, or seconds or milliseconds. */
export function microsOf(value: unknown): number {
  const number = typeof value === "number" ? value : typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : NaN;
  // Milliseconds have been above this since 1973, seconds will be in 5138.
  if (!Number.isNaN(number)) return Math.round(number > 1e11 ? number * 1e3 : number * 1e6);
  if (typeof value !== "string") return NaN;
  const text = value.trim();
  const [, date, time, , hours, minutes = "00"] = TIME.exec(text) ?? [];
  const ms = Date.parse(date === undefined || time === undefined ? text : `${date}T${time.replace(",", ".")}${hours === undefined ? "Z" : `${hours}:${minutes}`}`);
  const digits = /[.,]\d{3}(\d{1,3})/.exec(text)?.[1] ?? "";
  return ms * 1e3 + Number(digits.padEnd(3, "0"));
}

/** Between the rows of an API and the entities of an app. */
export class Mapping {
  readonly id: string;
  readonly updatedAt: string;
  #createdAt: string | null;

  constructor(
    readonly name: string,
    readonly entity: RestEntity,
  ) {
    this.id = entity.id ?? "id";
    this.updatedAt = entity.updatedAt ?? "updated_at";
    this.#createdAt = entity.createdAt === undefined ? "created_at" : entity.createdAt;
  }

  #wrong(field: string, value: unknown, row: Row, what: string): never {
    const shown = JSON.stringify(value) ?? "missing";
    throw new DatumError("protocol", `A row of "${this.name}" has \`${field}\` ${shown}, which is no ${what} (the row: ${JSON.stringify(row).slice(0, 200)}).`, { entity: this.name });
  }

  /** Reads a row; fails by field where it cannot be. */
  read(value: unknown): ReadRow {
    if (!isObject(value)) throw new DatumError("protocol", `A row of "${this.name}" is no object: ${JSON.stringify(value)?.slice(0, 100)}.`, { entity: this.name });
    const id = value[this.id];
    if ((typeof id !== "string" && typeof id !== "number") || id === "") this.#wrong(this.id, id, value, "id");
    const { version, isDeleted } = this.entity;
    const micros = microsOf(value[this.updatedAt]);
    const number = version === undefined ? micros : Number(value[version] ?? NaN);
    if (!(Number.isSafeInteger(number * 2) && number >= 1)) {
      if (version === undefined) this.#wrong(this.updatedAt, value[this.updatedAt], value, "time: name the field with `updatedAt`");
      this.#wrong(version!, value[version!], value, "whole number from 1");
    }
    const mark = isDeleted === undefined ? undefined : value[isDeleted];
    return { id: String(id), version: number * 2, isDeleted: mark === true || mark === 1 || (typeof mark === "string" && mark !== "" && mark !== "false" && mark !== "0"), at: Math.floor(micros / 1e3), row: value };
  }

  /** The value of the API's own version field that a version stands for. */
  ownVersion(version: number | null): number | null {
    return version === null || this.entity.version === undefined ? null : Math.floor(version / 2);
  }

  /** Returns the app's fields of a row, with the engine's times. */
  fields(row: Row): Row {
    const { version, isDeleted, fromRow } = this.entity;
    const own = [this.id, this.updatedAt, version, isDeleted, this.#createdAt];
    const fields: Row = {};
    for (const [name, value] of Object.entries(row)) if (!own.includes(name)) Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true });
    const time = (value: unknown) => {
      const micros = microsOf(value);
      return Number.isNaN(micros) ? undefined : new Date(micros / 1e3).toISOString();
    };
    const modifiedAt = time(row[this.updatedAt]) ?? new Date(0).toISOString();
    const createdAt = time(this.#createdAt === null ? undefined : row[this.#createdAt]) ?? modifiedAt;
    return { ...(fromRow === undefined ? fields : fromRow(fields)), createdAt, modifiedAt };
  }

  /** Returns fields as the API has them. Its times are its own. */
  row(fields: Row): Row {
    const { createdAt, modifiedAt: _, ...own } = fields;
    const row = this.entity.toRow === undefined ? own : this.entity.toRow(own);
    return createdAt === undefined || this.#createdAt === null ? row : { ...row, [this.#createdAt]: createdAt };
  }

  /** Whether a row has what a write sends: its answer was lost. */
  isWritten(fields: Row, { row }: ReadRow): boolean {
    return Object.entries(this.row(fields)).every(([name, value]) => name === this.#createdAt || isAlike(value, row[name]));
  }
}

/** Whether two values are equal, as far as an API keeps them: numbers as text, times in its own form. */
function isAlike(sent: Json | undefined, kept: Json | undefined): boolean {
  if (sent === kept || (sent ?? null) === (kept ?? null)) return true;
  if (typeof sent === "number" && typeof kept === "string") return kept.trim() !== "" && Number(kept) === sent;
  if (typeof sent === "string" && typeof kept === "string") return /^\d{4}-\d\d-\d\dT/.test(sent) && microsOf(sent) === microsOf(kept);
  if (typeof sent !== "object" || typeof kept !== "object" || sent === null || kept === null || Array.isArray(sent) !== Array.isArray(kept)) return false;
  const [ours, theirs] = [sent as Row, kept as Row];
  const names = Object.keys(ours);
  return names.length === Object.keys(theirs).length && names.every((name) => isAlike(ours[name], theirs[name]));
}
