// `/auth/v1`: accounts with passwords, short-lived access tokens and refresh tokens that are used once. Kept in the database, so that
// a gateway that starts again knows the sessions.
import { randomBytes, randomUUID } from "node:crypto";
import { isExpired, seconds, sign, verify } from "./token.mjs";

/** How long a used refresh token may come again: another tab, or a lost answer. */
const REUSE_SECONDS = 10;

const failure = (status, code, msg) => ({ status, body: { code: status, error_code: code, msg } });

/** The accounts of one gateway. `tokenSeconds` is how long an access token lasts. */
export class Accounts {
  #database;
  #secret;
  /** By user id: tokens that were issued before are refused. */
  #revoked = new Map();

  constructor({ database, secret, tokenSeconds }) {
    this.#database = database;
    this.#secret = secret;
    this.tokenSeconds = tokenSeconds;
  }

  /** Returns the claims of a request's token, or the reason why it counts for nothing. */
  check(header) {
    const token = /^Bearer (.+)$/i.exec(header ?? "")?.[1];
    if (token === undefined) return { problem: "No token" };
    const claims = verify(token, this.#secret);
    if (claims === null) return { problem: "JWSError JWSInvalidSignature" };
    if (isExpired(claims) || (this.#revoked.get(claims.sub) ?? 0) > (claims.issued ?? Infinity)) return { problem: "JWT expired" };
    return { claims, token };
  }

  /** Refuses every access token that the user has now; refresh tokens still count. */
  revoke(userId) {
    this.#revoked.set(userId, Date.now());
  }

  /** Ends the user's sessions: their refresh tokens count for nothing. */
  async endSessions(userId) {
    await this.#database.query("delete from auth.refresh_tokens where user_id = $1", [userId]);
    this.revoke(userId);
  }

  /** Gives a new user an id. */
  newId = (_email) => randomUUID();

  /** Adds a user and returns the id. */
  async add(email, password, id = this.newId(email)) {
    await this.#database.query("insert into auth.users(id, email, password) values ($1, $2, $3) on conflict (email) do nothing", [id, email, password]);
    const { rows } = await this.#database.query("select id from auth.users where email = $1", [email]);
    return rows[0].id;
  }

  /** Answers a request below `/auth/v1`. */
  async answer({ method, url, headers, text }) {
    const path = url.pathname.slice("/auth/v1".length);
    const body = text === "" ? {} : JSON.parse(text);
    if (method === "GET" && path === "/health") return { status: 200, body: { name: "GoTrue", version: "gateway" } };
    if (method === "GET" && path === "/settings") return { status: 200, body: { external: { email: true }, disable_signup: false } };
    if (method === "POST" && path === "/signup") {
      const id = await this.add(body.email, body.password);
      return this.#session(id);
    }
    if (method === "POST" && path === "/token") {
      return url.searchParams.get("grant_type") === "password" ? this.#password(body) : this.#refresh(body);
    }
    const { claims, problem } = this.check(headers.authorization);
    if (problem !== undefined || claims.sub === undefined) return failure(403, "bad_jwt", `invalid JWT: ${problem ?? "no subject"}`);
    if (path === "/user") {
      const user = await this.#user(claims.sub);
      return user ? { status: 200, body: user } : failure(403, "user_not_found", "User from sub claim in JWT does not exist");
    }
    if (method === "POST" && path === "/logout") return this.#logout(claims, url.searchParams.get("scope") ?? "global");
    return failure(404, "not_found", `the gateway has no ${method} ${path}`);
  }

  async #password({ email, password }) {
    const { rows } = await this.#database.query("update auth.users set last_sign_in_at = clock_timestamp() where email = $1 and password = $2 returning id", [email, password]);
    return rows.length === 0 ? failure(400, "invalid_credentials", "Invalid login credentials") : this.#session(rows[0].id);
  }

  async #refresh({ refresh_token: token }) {
    const { rows } = await this.#database.query("select user_id, session_id, used_at < clock_timestamp() - make_interval(secs => $2) as spent from auth.refresh_tokens where token = $1", [token ?? "", REUSE_SECONDS]);
    if (rows.length === 0) return failure(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
    if (rows[0].spent) return failure(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
    await this.#database.query("update auth.refresh_tokens set used_at = coalesce(used_at, clock_timestamp()) where token = $1", [token]);
    return this.#session(rows[0].user_id, rows[0].session_id);
  }

  async #logout({ sub, session_id: session }, scope) {
    const which = scope === "global" ? "true" : scope === "others" ? "session_id <> $2" : "session_id = $2";
    await this.#database.query(`delete from auth.refresh_tokens where user_id = $1 and $2::uuid is not null and ${which}`, [sub, session]);
    return { status: 204 };
  }

  /** Begins a session, or goes on with one. */
  async #session(userId, sessionId = randomUUID()) {
    const user = await this.#user(userId);
    const [now, refreshToken] = [seconds(), randomBytes(9).toString("base64url")];
    await this.#database.query("insert into auth.refresh_tokens(token, user_id, session_id) values ($1, $2, $3)", [refreshToken, userId, sessionId]);
    const claims = { iss: "gateway", aud: "authenticated", role: "authenticated", sub: userId, email: user.email, session_id: sessionId, iat: now, exp: now + this.tokenSeconds, issued: Date.now(), is_anonymous: false };
    return {
      status: 200,
      body: { access_token: sign(claims, this.#secret), token_type: "bearer", expires_in: this.tokenSeconds, expires_at: now + this.tokenSeconds, refresh_token: refreshToken, user },
    };
  }

  async #user(id) {
    const { rows } = await this.#database.query("select id, email, created_at, last_sign_in_at from auth.users where id = $1", [id]);
    if (rows.length === 0) return undefined;
    return { ...rows[0], aud: "authenticated", role: "authenticated", app_metadata: { provider: "email", providers: ["email"] }, user_metadata: {}, identities: [], is_anonymous: false };
  }
}
