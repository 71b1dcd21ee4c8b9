// A handler of `datum-sync/server` as a test has it: without a socket, with the user's name as the token.

/** Signs in whom the header names. */
export const byName = (request) => {
  const [, name] = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
  return name === undefined ? null : decodeURIComponent(name);
};

/** Returns a function that sends a request to a handler: `{ status, headers, reply }`. */
export const sender = (handler) => async (userId, method, path, text, headers = {}) => {
  const body = method === "GET" || method === "DELETE" ? undefined : text;
  const response = await handler(new Request(`http://any.example${path}`, { method, body, headers: { authorization: `Bearer ${encodeURIComponent(userId)}`, ...headers } }));
  return { status: response.status, headers: response.headers, reply: JSON.parse(await response.text()) };
};

/** A handler over a store of the rules, as a server of the conversations. */
export const conversing = (handler, store) => ({
  send: sender(handler),
  operate: (order) => (order === "newEpoch" ? store.newEpoch() : store.forget(order === "forgetOperations" ? "operations" : "tombstones")),
});
