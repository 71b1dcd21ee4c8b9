/** Numbers, times and values as text. Nothing here reads a clock, so what is shown does not age. */

const KIB = 1024;

/** Returns a size, such as `"1.5 KiB"`. */
export function bytes(count: number | undefined): string {
  if (count === undefined || !Number.isFinite(count)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [size, unit] = [count, 0];
  while (size >= KIB && unit < units.length - 1) [size, unit] = [size / KIB, unit + 1];
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** Returns a number with its thousands apart. */
export const number = (count: number | undefined): string => (count === undefined ? "–" : String(count).replace(/\B(?=(\d{3})+$)/g, ","));

/** Returns how many there are of something, such as `"1 operation"`, `"2 operations"`. */
export const plural = (count: number, one: string, many = `${one}s`): string => `${number(count)} ${count === 1 ? one : many}`;

/** Returns a length of time, such as `"340 ms"`, `"1.2 s"`, `"3 min 20 s"`. */
export function duration(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** Returns the time of day of a moment, with the date if it is another day than `today`. */
export function clock(iso: string | undefined | null, today = new Date()): string {
  if (!iso) return "–";
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.toDateString() === today.toDateString() ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** Returns the first `most` characters of a text, with `…` if there are more. It never cuts a pair of surrogates. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return `${text.slice(0, last >= 0xd800 && last < 0xdc00 ? most - 1 : most)}…`;
}

/** Returns the beginning of an id, or its end where its beginning is a time. */
export const shortId = (id: string): string => (/^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id) ? `…${id.slice(-8)}` : cut(id, 14));

/** Returns a JSON value in one line of at most about `most` characters. It reads no more of the value than it shows. */
export function preview(value: unknown, most = 160): string {
  let text = "";
  const add = (part: string) => (text += part);
  const isFull = () => text.length >= most;
  const walk = (it: unknown): void => {
    if (isFull()) return;
    if (typeof it === "string") add(JSON.stringify(cut(it, most)));
    else if (Array.isArray(it)) list("[", it, (item) => walk(item), "]");
    else if (typeof it === "object" && it !== null) list("{ ", Object.keys(it), (key) => (add(`${cut(String(key), most)}: `), walk((it as Record<string, unknown>)[String(key)])), " }");
    else add(String(it));
  };
  const list = (open: string, items: readonly unknown[], each: (item: unknown) => void, close: string) => {
    add(open);
    for (const [index, item] of items.entries()) {
      if (isFull()) break;
      if (index > 0) add(", ");
      each(item);
    }
    add(close);
  };
  walk(value);
  return cut(text, most);
}

/** Fields that every entity has: they are shown apart from the app's own. */
export const ENGINE_FIELDS = new Set(["id", "userId", "spaceId", "createdAt", "modifiedAt", "version", "isDeleted", "$syncState"]);

/** Returns the app's own fields of an entity. */
export const ownFields = (entity: object): { [field: string]: any } => Object.fromEntries(Object.entries(entity).filter(([name]) => !ENGINE_FIELDS.has(name)));

/** Names an entity in a sentence: an id may be there once in each space. */
export const named = ({ entity, entityId, spaceId }: { entity: string; entityId: string; spaceId?: string | undefined }): string => `${entity} ${entityId}${spaceId === undefined ? "" : ` in the space ${spaceId}`}`;

/** Returns what somebody typed as JSON, or what is wrong with it. */
export function parsed(text: string): { value: unknown; error?: undefined } | { value?: undefined; error: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (thrown) {
    return { error: `This is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}` };
  }
}

/** As `parsed`, of an object. */
export function parsedObject(text: string): { value: { [field: string]: any }; error?: undefined } | { value?: undefined; error: string } {
  const result = parsed(text);
  if (result.error !== undefined) return result;
  if (typeof result.value !== "object" || result.value === null || Array.isArray(result.value)) return { error: "Write a JSON object: { … }" };
  return { value: result.value };
}

/** Returns the words of a failure for people, with its code. */
export function failure(thrown: unknown): string {
  const { code, message } = (thrown ?? {}) as { code?: unknown; message?: unknown };
  const words = typeof message === "string" && message !== "" ? message : String(thrown);
  return typeof code === "string" ? `${words} (${code})` : words;
}
