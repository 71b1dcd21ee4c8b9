// Which pages of other origins get an answer.

const METHODS = "GET,POST,PUT,DELETE";
const EXPOSED = "retry-after,date,x-request-id";
/** How long a browser may cache the answer to a preflight request, in seconds. */
const PREFLIGHT = "7200";

/** @internal */
export type AllowOrigin = (origin: string) => boolean;

/** @internal Adds the headers to an answer. */
export function allow(request: Request, headers: Headers, isAllowed: AllowOrigin): void {
  headers.append("vary", "origin");
  const origin = request.headers.get("origin");
  if (origin === null || !isAllowed(origin)) return;
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", EXPOSED);
}

/** @internal Answers a preflight request. */
export function preflight(request: Request, isAllowed: AllowOrigin): Response {
  const headers = new Headers({ vary: "origin, access-control-request-method, access-control-request-headers" });
  const origin = request.headers.get("origin");
  if (origin !== null && isAllowed(origin)) {
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-allow-methods", METHODS);
    // Any: an app signs its requests as `authenticate` reads them.
    headers.set("access-control-allow-headers", request.headers.get("access-control-request-headers") ?? "authorization,content-type");
    headers.set("access-control-max-age", PREFLIGHT);
  }
  return new Response(null, { status: 204, headers });
}
