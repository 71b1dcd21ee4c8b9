// Requests to a remote that speaks the sync protocol, over the browser's `fetch` or the app's. The
// engine says what to send, and judges the answer. What `fetch` throws reaches it as it is: an app's
// `fetch` may throw or resolve to anything, and so may a global one that a page has replaced.

import { refuse } from "./options.js";
import { whole } from "./parts.js";
import { DatumError, encode, say } from "./support.js";

/** The slowest upload that is waited for, in bytes per millisecond, beside the timeout. */
const SLOWEST_UPLOAD = 16;
/** Shorter bodies are not compressed. */
const COMPRESS_FROM = 8 << 10;
/** The longest answer that is read, in bytes. A page of rows is asked for again with fewer of them. */
const LONGEST_ANSWER = 64 << 20;
const JSON_TYPE = "application/json";
/** The app cannot override headers that describe the body. */
const DESCRIBING = ["accept", "content-type", "content-encoding"];
const LATE = Symbol();
/** How often it is looked whether something has come, within the time that is allowed. */
const LOOKS = 8;

/** Returns names and values in turns, from a record of strings or a `Headers` object. */
export function headersOf(value, before = "") {
  const sent = new Headers();
  const list = [];
  const push = (name, item) => {
    // A symbol is no header name; an undefined value leaves the header out.
    if (typeof name !== "string" || item === undefined) return;
    if (typeof item !== "string") refuse(`${before}\`${name}\` must be a string.`);
    try {
      // Checked by the browser: characters of names, no line breaks, nothing beyond Latin-1.
      sent.set(name, item);
    } catch {
      refuse(`${before}\`${name}\` has a name or a value that HTTP does not allow.`);
    }
    list.push([name, item]);
  };
  // By its method and not by its class: it may be another realm's, or a library's own.
  if (typeof value?.append === "function") for (const [name, item] of value) push(name, item);
  else if (typeof value === "object" && value !== null && !Array.isArray(value)) for (const name of Reflect.ownKeys(value)) push(name, value[name]);
  else refuse(`${before}they must be an object of strings, such as { Authorization: "Bearer …" }, or {} for none.`);
  return list;
}

/** Returns a member of a value; undefined if it has none or reading it throws. */
function member(value, key) {
  try {
    return value[key];
  } catch {
    return undefined;
  }
}

/** Calls what may throw or reject, and leaves that. */
function quietly(call) {
  try {
    // An unhandled rejection would be reported to the page.
    Promise.resolve(call()).catch(() => {});
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns what `work` resolves with, or what `late` returns or throws if nothing has come for `ms` milliseconds, or an eighth
 * more. `work` calls `came` with each piece: one timer watches over all of them, since a body may come in hundreds. It
 * compares no clocks, of which tests may fake one and not the other.
 */
async function whileItComes(ms, work, late) {
  let timer;
  let silent = 0;
  const came = () => {
    silent = 0;
  };
  const silence = new Promise((resolve) => {
    const watch = () => {
      timer = setTimeout(() => {
        silent += 1;
        if (silent < LOOKS) watch();
        else resolve(LATE);
      }, Math.min(ms / LOOKS, 2 ** 31 - 1));
      // A Node process may end meanwhile: the calls that wait keep it.
      timer.unref?.();
    };
    watch();
  });
  try {
    const first = await Promise.race([work(came), silence]);
    return first === LATE ? late() : first;
  } finally {
    clearTimeout(timer);
  }
}

/** The same for a promise, all at once. */
const within = (ms, work, late) => whileItComes(ms, () => work, late);

function lateFor(what, url, ms) {
  return () => {
    throw new DatumError("timeout", `${what} of ${url} did not come within ${ms} ms.`);
  };
}

/** Returns the bytes of an `ArrayBuffer` of any realm, or of a view of one. */
function bytesOf(value) {
  const length = member(value, "byteLength");
  if (typeof length !== "number") return undefined;
  // Empty, or detached.
  if (length === 0) return new Uint8Array();
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, length);
  // Anything else with a `length` would be read as a list of numbers.
  return value.length === undefined ? new Uint8Array(value) : undefined;
}

/** Compresses a body; undefined if the browser cannot. */
async function gzip(text) {
  try {
    const packed = new Response(text).body.pipeThrough(new CompressionStream("gzip"));
    return new Uint8Array(await new Response(packed).arrayBuffer());
  } catch {
    return undefined;
  }
}

/** A remote that speaks the protocol. */
export class Http {
  /** Counts refreshes: a request remembers the count when its headers were made. */
  #generation = 0;
  /** Ends with the refresh that is under way, which concurrent refusals share. */
  #refresh;
  /** The headers of the last refresh. */
  #refreshed;
  /**
   * The user and the headers that the remote accepted last. A page that goes away has no time to
   * ask for new ones, and must not send one user's operations with another's token.
   */
  #accepted;
  /** Reset once the remote answers 415 to a compressed body. */
  compresses;
  requests = 0;
  sent = 0;
  received = 0;

  constructor(base, headers, { fetch, credentials, compress, timeout }) {
    this.base = base;
    this.headers = headers;
    this.fetch = fetch ?? undefined;
    this.credentials = credentials ?? undefined;
    this.compresses = compress ?? false;
    this.timeout = timeout ?? 30_000;
    /** What selects the server, and how to speak to it. */
    this.data = { url: base, credentials: this.credentials, compress: this.compresses, timeout: this.timeout };
  }

  request() {
    return new Exchange(this);
  }

  /** Returns headers to send, and the count of refreshes when they were made. */
  async current() {
    // Before the call: a refresh that ends during it may be newer than its headers.
    const generation = this.#generation;
    return { list: typeof this.headers === "function" ? await this.#ask("request") : this.headers, generation };
  }

  /** Returns headers for a second try after the remote has refused `sent`; undefined for fixed ones. */
  async refreshed(sent) {
    if (typeof this.headers !== "function") return undefined;
    if (sent.generation === this.#generation) {
      if (this.#refresh === undefined) {
        const asked = this.#ask("unauthorized");
        const end = () => {
          this.#refreshed = asked;
          this.#generation += 1;
          this.#refresh = undefined;
        };
        this.#refresh = asked.then(end, end);
      }
      await this.#refresh;
    }
    return { list: await this.#refreshed, generation: this.#generation };
  }

  async #ask(reason) {
    const { headers, timeout } = this;
    const wrong = (message, cause) => new DatumError("unauthorized", message, { cause });
    const answer = async () => {
      try {
        return await headers(reason);
      } catch (thrown) {
        throw member(thrown, "name") === "DatumError" ? thrown : wrong("The `remote.headers` function failed.", thrown ?? null);
      }
    };
    const value = await within(timeout, answer(), () => {
      throw wrong(`The \`remote.headers\` function did not answer within ${timeout} ms.`);
    });
    try {
      return headersOf(value);
    } catch (fault) {
      throw wrong(`The \`remote.headers\` function returned headers that cannot be sent: ${member(fault, "why") ?? say(fault)}`);
    }
  }

  /** Notes what the remote says to a user's headers. */
  judged(userId, status, { list }) {
    if (status >= 200 && status < 300) {
      if (userId) this.#accepted = { userId, list };
    } else if (status === 401 || status === 403 || status === 409) {
      this.#accepted = undefined;
    }
  }

  /** Returns whether `leave` would send for this user. */
  accepts(userId) {
    return this.#accepted?.userId === userId;
  }

  /** Posts a body from a page that goes away. Nobody waits for the response, and nothing aborts it. */
  leave(userId, url, body, size) {
    const fetch = this.fetch ?? globalThis.fetch;
    if (!this.accepts(userId) || typeof fetch !== "function") return false;
    this.count(size);
    return quietly(() => fetch(url, { ...this.init("POST", this.#accepted.list, JSON_TYPE, body), keepalive: true }));
  }

  count(sent) {
    this.requests += 1;
    this.sent += sent;
  }

  /** Returns plain members, so that an app's `fetch` may use `{...init}` and `JSON.parse(init.body)`. */
  init(method, list, accept, body) {
    const headers = list.filter(([name]) => !DESCRIBING.includes(name.toLowerCase()));
    headers.push(["Accept", accept]);
    const init = { method, headers, cache: "no-store" };
    if (this.credentials) init.credentials = this.credentials;
    if (body !== undefined) {
      init.body = body;
      headers.push(["Content-Type", JSON_TYPE]);
      if (typeof body !== "string") headers.push(["Content-Encoding", "gzip"]);
    }
    init.headers = Object.fromEntries(headers);
    return init;
  }

  /** Calls the browser's `fetch` with a Request, the app's with a url and an init, which it may change. */
  async send(url, init) {
    const { fetch } = this;
    if (fetch) return fetch(url, init);
    if (typeof globalThis.fetch !== "function") throw new DatumError("invalidConfig", "There is no `fetch` here; pass one as `remote.fetch`.");
    let request;
    try {
      request = new Request(url, init);
    } catch (cause) {
      throw new DatumError("invalidConfig", `No request can be made for ${url}.`, { cause });
    }
    return globalThis.fetch(request);
  }
}

/** A request and its response, until it is aborted. */
class Exchange {
  #http;
  #abort = new AbortController();
  #response;
  #reader;
  #sent;
  #isDone = false;
  status = 0;
  /** The size of the body that was sent last. */
  size = 0;

  constructor(http) {
    this.#http = http;
  }

  /** Aborts what is under way. */
  abort() {
    // Never with a reason: the rejection is then a DOMException and not a bare value.
    if (!this.#isDone) this.#abort.abort();
  }

  /**
   * Sends a request, and once more with fresh headers if the remote answers 401. Returns the body of
   * the response.
   */
  async call(userId, method, url, text, size, wait) {
    const http = this.#http;
    if (http.compresses && method === "POST" && text.length >= COMPRESS_FROM) {
      const packed = await gzip(text);
      if (packed) {
        const bytes = await this.#authorized(userId, method, url, packed, packed.length, wait);
        if (this.status !== 415) return bytes;
        http.compresses = false;
      }
    }
    return this.#authorized(userId, method, url, text, size, wait);
  }

  async #authorized(userId, method, url, body, size, wait) {
    const http = this.#http;
    this.size = size;
    // Nothing tells how far an upload is.
    const head = http.timeout + wait + Math.floor(size / SLOWEST_UPLOAD);
    const bytes = await this.#twice(async (list) => {
      http.count(size);
      await this.#open(method, url, list, JSON_TYPE, body, head);
      return this.body(url);
    });
    http.judged(userId, this.status, this.#sent);
    this.#isDone = true;
    await this.#readable();
    return bytes;
  }

  /** Resolves when the engine can read the answer: what a refusal leads to may be in a part that is to come. */
  async #readable() {
    if (this.status < 200 || this.status >= 300) await whole();
  }

  /** Sends with the app's headers, and once more with fresh ones if the remote answers 401. */
  async #twice(send) {
    const http = this.#http;
    this.#sent = await http.current();
    const first = await send(this.#sent.list);
    const fresh = this.status === 401 ? await http.refreshed(this.#sent) : undefined;
    if (fresh === undefined) return first;
    // The refusal of a stream is not read.
    quietly(() => this.#reader?.cancel());
    this.#sent = fresh;
    return send(fresh.list);
  }

  /** Connects to a stream of events. */
  async listen(url) {
    const http = this.#http;
    await this.#twice((list) => {
      http.count(0);
      return this.#open("GET", url, list, "text/event-stream", undefined, http.timeout);
    });
    await this.#readable();
  }

  /** Renews the headers of a stream whose token has expired. */
  async renew() {
    await this.#http.refreshed(this.#sent);
  }

  /** Sends, and waits for the head of the response. */
  async #open(method, url, list, accept, body, ms) {
    const init = { ...this.#http.init(method, list, accept, body), signal: this.#abort.signal };
    const response = await within(ms, this.#http.send(url, init), lateFor("The answer", url, ms));
    // A mock, a polyfill and a Response of another realm are not instances of this realm's class:
    // check the members that are needed.
    const status = member(response, "status");
    if (typeof status !== "number") throw new DatumError("protocol", "The `remote.fetch` function did not resolve to a Response.", { cause: response ?? null });
    this.status = status;
    this.#response = response;
    const stream = member(response, "body");
    try {
      this.#reader = stream.getReader();
    } catch {
      this.#reader = undefined;
    }
  }

  header(name) {
    try {
      const value = this.#response.headers.get(name);
      return typeof value === "string" ? value : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether the response can be read as it arrives. */
  get streams() {
    return this.#reader !== undefined;
  }

  /** Reads the response to its end: up to 64 MiB, as long as something comes. */
  async body(url) {
    const ms = this.#http.timeout;
    const late = lateFor("More of the answer", url, ms);
    if (!this.streams) {
      const bytes = await within(ms, this.#whole(), late);
      this.#http.received += bytes.length;
      return bytes;
    }
    const chunks = [];
    let size = 0;
    const read = async (came) => {
      for (let chunk; (chunk = await this.#next()) !== null; came()) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > LONGEST_ANSWER) throw new DatumError("protocol", `The answer of ${url} is longer than 64 MiB.`, { status: 413 });
      }
    };
    await whileItComes(ms, read, late);
    if (chunks.length === 1) return chunks[0];
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  /** Returns the next bytes: null at the end, undefined if nothing comes for `ms` milliseconds. */
  async chunk(ms) {
    return within(ms, this.#next(), () => undefined);
  }

  async #next() {
    const { done, value } = await this.#reader.read();
    if (done) return null;
    const bytes = bytesOf(value) ?? new Uint8Array();
    this.#http.received += bytes.length;
    return bytes;
  }

  /** Reads a response without a stream: an `arrayBuffer`, or through text. */
  async #whole() {
    const response = this.#response;
    for (const name of ["arrayBuffer", "text", "json"]) {
      if (typeof member(response, name) !== "function") continue;
      const value = await response[name]();
      const bytes = name === "arrayBuffer" ? bytesOf(value) : undefined;
      if (bytes) return bytes;
      if (name === "text" && typeof value === "string") return new TextEncoder().encode(value);
      if (name === "json") return new TextEncoder().encode(encode(value, "protocol", "The `json` of a `remote.fetch` response"));
    }
    throw new DatumError("protocol", "The `remote.fetch` function resolved to a response whose body cannot be read.");
  }
}
