// Faults of the way between a page and its backend, each for a number of requests.

const HTML = "<!doctype html><html><head><title>Just a moment...</title></head><body><h1>Please sign in to the network</h1></body></html>";

/**
 * A fault: `{ on: /regular expression/ of "POST /rest/v1/rpc/datum_push", times?: 1, over?: bytes of the request, kind, … }`. Kinds:
 *
 * - `drop`: the backend works, and the answer is lost.
 * - `refuse`: nothing arrives.
 * - `status` with `status`, `headers`, `body`: answered in the backend's place.
 * - `html` with `status` (200): a web page in the backend's place.
 * - `noCors` with `status`: an answer that the page may not read.
 * - `slow` with `ms`: the backend works, and the answer waits.
 * - `drip` with `ms` and `parts`: the answer comes in parts.
 * - `truncate`: half of the answer, as if it were whole; with `cut`, the connection breaks in the middle.
 * - `twice`: the request arrives twice at the same moment.
 * - `hang`: no answer ever.
 */
export class Faults {
  #rules = [];
  #hanging = new Set();

  add(rule) {
    const on = typeof rule.on === "string" ? new RegExp(rule.on) : rule.on;
    const added = { times: 1, ...rule, on, met: 0 };
    this.#rules.push(added);
    return added;
  }

  clear() {
    this.#rules = [];
    for (const socket of this.#hanging) socket.destroy();
    this.#hanging.clear();
  }

  /** Takes the fault of a request, if there is one. */
  take(line, bytes) {
    const rule = this.#rules.find(({ on, met, times, over = -1 }) => met < times && bytes > over && on.test(line));
    if (rule) rule.met++;
    return rule;
  }

  /** Answers in the backend's place. Returns false if the backend must be asked. */
  instead(rule, response) {
    switch (rule?.kind) {
      case "refuse":
        response.socket.destroy();
        return true;
      case "hang":
        this.#hanging.add(response.socket);
        return true;
      case "status":
        response.writeHead(rule.status, { "content-type": "application/json", ...rule.headers });
        response.end(typeof rule.body === "string" ? rule.body : JSON.stringify(rule.body ?? {}));
        return true;
      case "html":
        response.writeHead(rule.status ?? 200, { "content-type": "text/html" });
        response.end(HTML);
        return true;
      case "noCors":
        for (const name of response.getHeaderNames()) response.removeHeader(name);
        response.writeHead(rule.status, { "content-type": "text/html" });
        response.end(HTML);
        return true;
      default:
        return false;
    }
  }

  /** Sends what the backend answered, as far as the fault lets it. */
  async pass(rule, response, { status, headers, bytes }) {
    if (rule?.kind === "drop") return void response.socket.destroy();
    if (rule?.kind === "slow") await new Promise((resolve) => setTimeout(resolve, rule.ms));
    const half = bytes.subarray(0, Math.ceil(bytes.length / 2));
    if (rule?.kind === "truncate" && rule.cut) {
      response.writeHead(status, { ...headers, "content-length": bytes.length });
      response.write(half);
      return void setTimeout(() => response.socket?.destroy(), 50);
    }
    if (rule?.kind === "drip") {
      response.writeHead(status, { ...headers, "content-length": bytes.length });
      const size = Math.ceil(bytes.length / rule.parts);
      for (let at = 0; at < bytes.length; at += size) {
        response.write(bytes.subarray(at, at + size));
        await new Promise((resolve) => setTimeout(resolve, rule.ms));
      }
      return void response.end();
    }
    const sent = rule?.kind === "truncate" ? half : bytes;
    response.writeHead(status, { ...headers, "content-length": sent.length });
    response.end(sent);
  }
}
