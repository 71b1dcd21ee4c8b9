// JSON web tokens, signed with HS256 as Supabase's legacy keys are.
import { createHmac, timingSafeEqual } from "node:crypto";

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const signature = (text, secret) => createHmac("sha256", secret).update(text).digest();

/** Signs claims. */
export function sign(claims, secret) {
  const text = `${base64url(JSON.stringify({ alg: "HS256", typ: "JWT" }))}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${base64url(signature(text, secret))}`;
}

/** Returns the claims of a token that was signed with `secret`, or null. Does not look at `exp`. */
export function verify(token, secret) {
  const [header, payload, signed, ...rest] = String(token).split(".");
  if (signed === undefined || rest.length > 0) return null;
  const [given, right] = [Buffer.from(signed, "base64url"), signature(`${header}.${payload}`, secret)];
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString());
  } catch {
    return null;
  }
}

export const seconds = () => Math.floor(Date.now() / 1000);
/** Returns true if the token may not be used any more. */
export const isExpired = (claims) => typeof claims.exp === "number" && claims.exp <= seconds();
