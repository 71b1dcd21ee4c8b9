// Tokens of a development server: JWTs signed with HS256 by a secret that nobody else has, as `datum-server --dev` issues them.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { SyncError } from "../server/index.js";
import { isLoopbackHost, isLoopbackOrigin } from "./loopback.js";

/** How long a token is valid by default, and how far clocks may differ, in seconds. */
const LIFETIME = 3_600;
const LEEWAY = 30;
/** The largest body. */
const MAX_BODY = 4_096;

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const isUser = (id) => typeof id === "string" && id !== "" && Buffer.byteLength(id) <= 512 && !/[\u0000-\u001f\u007f-\u009f\p{Surrogate}]/u.test(id);

/** Returns what issues tokens, and checks them. */
export function issueTokens(now = () => Date.now() / 1_000) {
  const secret = randomBytes(32);
  const sign = (text) => createHmac("sha256", secret).update(text).digest("base64url");
  return {
    /** Answers `POST /dev/token {userId, expiresInSeconds?}`: status and body. */
    async issue(request) {
      const refuse = (status, code, message) => [status, { code, message }];
      const host = request.headers.get("host") ?? "";
      const origin = request.headers.get("origin");
      if (!isLoopbackHost(host) || (origin !== null && !isLoopbackOrigin(origin))) return refuse(403, "forbidden", "Tokens are issued on loopback addresses only.");
      if (request.method !== "POST") return refuse(405, "methodNotAllowed", `/dev/token does not answer ${request.method}.`);
      const text = await textOf(request);
      if (text === undefined) return refuse(413, "bodyTooLarge", `The body is too large; the most is ${MAX_BODY}.`);
      let asked;
      try {
        asked = JSON.parse(text);
      } catch (error) {
        return refuse(400, "badRequest", `The body is not a request for a token: ${error.message}.`);
      }
      const { userId, expiresInSeconds: lifetime = LIFETIME } = asked ?? {};
      if (!isUser(userId)) return refuse(400, "badRequest", "`userId` must be text of 1 to 512 bytes without control characters or halves of surrogate pairs.");
      if (typeof lifetime !== "number" || !Number.isFinite(lifetime)) return refuse(400, "badRequest", "`expiresInSeconds` must be a number.");
      const exp = Math.floor(now() + lifetime);
      const claims = `${encoded({ typ: "JWT", alg: "HS256" })}.${encoded({ sub: userId, exp })}`;
      return [200, { token: `${claims}.${sign(claims)}`, userId, expiresAt: exp }];
    },
    /** Returns the user of an `Authorization` header. */
    check(header) {
      const invalid = (why) => new SyncError(401, "tokenInvalid", why);
      if (header === null) throw invalid("The request has no `Authorization: Bearer` header.");
      const [, token] = /^bearer +(\S+)\s*$/i.exec(header) ?? [];
      if (token === undefined) throw invalid("The `Authorization` header is not of the form `Bearer <token>`.");
      const claims = read(token, sign);
      if (claims === undefined) throw invalid("The token is not one that this server has issued since it started.");
      const at = now();
      if (claims.exp < at - LEEWAY) throw new SyncError(401, "tokenExpired", "The token has expired; get a new one.");
      return { userId: claims.sub, expiresAt: claims.exp };
    },
  };
}

/** Returns a body as text; undefined if it is too large, which is known before all of it has come. */
async function textOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** The claims of a token that was signed here. */
function read(token, sign) {
  const [head, body, signature, ...more] = token.split(".");
  if (signature === undefined || more.length > 0) return undefined;
  const [expected, given] = [Buffer.from(sign(`${head}.${body}`)), Buffer.from(signature)];
  if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined;
  return JSON.parse(Buffer.from(body, "base64url").toString());
}
