// Random histories of users who share spaces, for two remotes that must answer alike.

const USERS = ["ann", "bob", "cleo"];
const IDS = ["a", "b", "c"];
const ROLES = ["reader", "writer", "owner"];

/** Returns a generator of numbers from 0 to 1, the same for one seed. */
function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns the requests of one history. `told` takes each answer, from which later requests are made. */
export function history(seed) {
  const roll = dice(seed);
  const one = (list) => list[Math.floor(roll() * list.length)];
  const chance = (part) => roll() < part;
  const named = (name) => `${name}-${seed}`;
  const spaces = [1, 2, 3].map((n) => `0199${String(seed).padStart(4, "0")}-0000-7000-8000-00000000000${n}`);
  const place = () => (chance(0.3) ? undefined : one(spaces));
  const versions = new Map();
  const opIds = [];
  const cursors = new Map(USERS.map((user) => [user, [null]]));
  let count = 0;

  function base(space, user, entity, id) {
    if (chance(0.1)) return 1 + Math.floor(roll() * 20);
    return (chance(0.85) ? versions.get([space ?? user, entity, id].join()) : undefined) ?? null;
  }

  function operation(user, earlier) {
    const opId = chance(0.08) && opIds.length > 0 ? one(opIds) : `op${++count}`;
    opIds.push(opId);
    const more = { ...(chance(0.1) ? { supersedes: [one(opIds), "else"] } : {}), ...(chance(0.15) && earlier.length > 0 ? { after: [one(earlier).opId] } : {}) };
    const kind = one(["create", "update", "patch", "patch", "delete", "move", "move"]);
    const what = roll();
    if (what < 0.12) {
      const space = one(spaces);
      const data = kind === "delete" ? undefined : { name: chance(0.9) ? "Home" : "" };
      return { opId, entity: "$space", id: chance(0.95) ? space : one(spaces), kind: kind === "delete" ? kind : "create", space, baseVersion: kind === "delete" ? base(space, user, "$space", space) : null, data, ...more };
    }
    if (what < 0.35) {
      const space = one(spaces);
      const id = `${space}/${named(one(USERS))}`;
      return { opId, entity: "$member", id, kind, space, baseVersion: base(space, user, "$member", id), data: kind === "delete" ? undefined : { role: chance(0.95) ? one(ROLES) : "king" }, ...more };
    }
    const [entity, id, space] = [chance(0.8) ? "task" : "note", one(IDS), place()];
    const to = kind === "move" ? place() : undefined;
    const data = kind === "delete" || kind === "move" ? undefined : chance(0.97) ? { n: Math.floor(roll() * 3) } : one([null, [], { f: "\ud800" }, { userId: "x" }]);
    return { opId, entity, id, kind, space, to, baseVersion: base(space, user, entity, id), data, ...more };
  }

  return {
    /** Returns the next request: who asks, the method, and its body. */
    next() {
      const user = one(USERS);
      if (chance(0.6)) {
        const operations = [];
        for (let left = 1 + Math.floor(roll() * 6); left > 0; left--) operations.push(operation(user, operations));
        return { user: named(user), call: "push", body: { clientId: "d", operations }, key: user };
      }
      const known = one(cursors.get(user).slice(-6));
      const only = chance(0.2) ? { entities: [one(["task", "note"])] } : chance(0.15) ? { scope: { where: { n: Math.floor(roll() * 3) } } } : known?.only ?? {};
      return { user: named(user), call: "pull", body: { clientId: "d", limit: 1 + Math.floor(roll() * 8), ...only, ...(chance(0.1) ? { spaces: true } : {}) }, cursor: known, only, key: user };
    },
    /** Takes what a request was answered, and the cursors of the two remotes. */
    told({ key, call, body, only }, reply, pair) {
      if (call === "pull") {
        if (pair !== undefined) cursors.get(key).push({ pair, only });
        for (const { space, entity, id, version } of reply.changes ?? []) versions.set([space ?? key, entity, id].join(), version);
        return;
      }
      for (const [at, { status, version, leftVersion, space: elsewhere }] of (reply.results ?? []).entries()) {
        const { space, to, entity, id, kind } = body.operations[at];
        if (version === undefined) continue;
        const there = kind === "move" && status === "applied" ? to : leftVersion === undefined ? space : elsewhere;
        versions.set([there ?? key, entity, id].join(), version);
        if (leftVersion !== undefined) versions.set([space ?? key, entity, id].join(), leftVersion);
      }
    },
  };
}
