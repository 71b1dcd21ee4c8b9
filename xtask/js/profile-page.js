// What runs in the pages of a profile. Both functions go to the page as text.

/** Runs before a page's scripts: keeps the module's exports, which have the notes. */
export function keepExports() {
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...given) => {
    const instance = await instantiate.apply(WebAssembly, given);
    window.notes = () => {
      const { exports } = instance.instance ?? instance;
      const notes = [];
      for (let at = 0; `hits${at}` in exports; at++) notes.push(exports[`hits${at}`].value >>> 0);
      return notes;
    };
    return instance;
  };
}

/** Makes the page act as an app. */
export function app() {
  // The engine believes that its later parts are on their way, and begins no cycle, until this is called.
  let release;
  const released = new Promise((resolve) => (release = resolve));
  window.release = release;
  const nothing = () => new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  const load = async () => {
    const { Datum, DatumError, beginParts, followParts } = await import("/index.js");
    const get = async (part, link) => {
      if (part >= window.lacksFrom) throw new DatumError("network", "The engine could not be loaded.", { cause: new Error("HTTP 404") });
      await released;
      await link(nothing());
    };
    beginParts({}, {}, { count: 3, get, now: nothing, failure: (cause) => cause });
    followParts();
    return Datum;
  };

  /** A remote of the app's own. */
  const adapter = (user) => {
    const post = (name) => async (request, signal) => {
      const response = await fetch(`/sync/${name}`, { method: "POST", headers: { Authorization: user }, body: JSON.stringify(request), signal });
      if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
      return response.json();
    };
    return {
      pull: post("pull"),
      push: post("push"),
      subscribe(_, hint) {
        const stream = new EventSource(`/sync/stream?${user}`);
        stream.addEventListener("change", hint);
        return () => stream.close();
      },
    };
  };

  /** Answers each pull with rows that few remotes have: of a type that the config does not name, one of them twice, odd values. */
  const oddRemote = async (url, { body }) => {
    const row = (id, version, data, entity = "tasks") => ({ entity, id, version, deleted: false, data: { id, ...data } });
    const changes = [row("a", 1, { small: 1e-7, large: 1e21, text: "\u0000\u0001\t é 😀 \u2028" }), row("b", 2, {}, "strangers"), row("c", 3, {}), row("c", 4, { title: "again" })];
    const request = body && JSON.parse(body);
    if (url.endsWith("/pull")) return Response.json({ changes: request.cursor === null ? changes : [], cursor: "1", more: false });
    return Response.json({ results: request?.operations?.map(({ opId }, n) => ({ opId, status: "applied", version: n + 5 })) });
  };
  const rare = (strategy) => (user) => ({
    ...usual(user),
    name: `a "${strategy}" name`,
    entities: {
      ...Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`type ${n}`, {}])),
      tasks: { indexes: ["title", ["done", "place.city"]], onRejected: "revert", relations: { lists: { hasMany: "lists", foreignKey: "taskId", onDelete: "cascade" } } },
      lists: { relations: { task: { belongsTo: "tasks", foreignKey: "taskId" } } },
    },
    coldStart: { strategy },
    schemaVersion: 1,
    schemaField: "form",
    observers: [{ beforeWrite() {} }],
    remote: { url: location.origin, fetch: oddRemote },
  });
  const usual = (user) => ({
    entities: { tasks: {} },
    initialUserId: user,
    autoStartSync: true,
    remote: { url: location.origin, headers: async () => ({ Authorization: user }) },
  });
  /** What apps may configure. */
  const configs = {
    usual,
    manual: (user) => ({ ...usual(user), autoStartSync: false, remote: { url: location.origin, headers: { Authorization: user } }, realtime: true, persist: false, durability: { local: "relaxed" } }),
    full: (user) => ({
      name: "full",
      entities: {
        tasks: {
          conflictResolver: "lastWriteWins",
          mergeFields: { title: "remote", points: "sum", tags: "union", low: "min", high: "max", note: "text", at: "lastWrite", mine: "local" },
          deleteBehavior: "softDelete",
          validate: (task) => void task.title,
          beforeSave: (task) => ({ ...task, saved: true }),
          afterRead: (task) => task,
          localOnly: ["draft"],
          relations: { list: { belongsTo: "lists", foreignKey: "listId" } },
        },
        lists: {
          conflictResolver: () => ({ take: "local" }),
          middleware: [{ validate() {} }],
          // Read with the config. What they do is in the last file, as nobody waits for it to show something.
          relations: {
            tasks: { hasMany: "tasks", foreignKey: "listId", onDelete: "cascade" },
            first: { hasOne: "tasks", foreignKey: "firstIn" },
            notes: { manyToMany: "notes", through: "tasks", thisKey: "listId", otherKey: "noteId", onDelete: "setNull" },
          },
        },
        notes: { conflictResolver: "ask", onRejected: "keepLocal" },
      },
      remote: { url: location.origin, headers: { Authorization: user }, fetch: (url, init) => fetch(url, init), credentials: "include", compress: true, timeout: 20_000 },
      initialUserId: async () => user,
      autoSyncInterval: 60_000,
      syncAfterWrite: 200,
      syncOnReconnect: true,
      syncOnVisible: true,
      coldStart: { delay: 10, maxDuration: 10_000 },
      syncTimeout: 60_000,
      resolverTimeout: 10_000,
      defaultSyncDirection: "pushThenPull",
      defaultSyncOptions: { timeout: 50_000 },
      defaultConflictResolver: "merge",
      durability: { local: "strict", pulled: "relaxed" },
      persist: "ask",
      memoryBudget: 10_000_000,
      retry: { maxAttempts: 2, initial: 100, factor: 1.5, max: 1_000, jitter: "full" },
      syncRequestStrategy: "joinInFlight",
      defaultUserSwitchStrategy: "syncThenSwitch",
      schemaVersion: 1,
      excludedSyncUserIds: ["somebody"],
      realtime: true,
      flushOnLeave: false,
      backgroundSync: true,
      observers: [{ onSyncStart() {}, onSyncEnd() {} }],
      logger: { log() {} },
      logLevel: "debug",
    }),
    adapter: (user) => ({ ...usual(user), remote: adapter(user), realtime: true, persist: true }),
    plain: (user) => usual(user),
    // With nothing but what an adapter must have.
    "plain-adapter": (user) => {
      const { pull, push } = adapter(user);
      return { ...usual(user), autoStartSync: false, retry: { maxAttempts: 1 }, remote: { pull, push } };
    },
    traced: (user) => ({ ...usual(user), trace: true }),
    // An app whose data has to be migrated, and its earlier version.
    "version 2": (user) => ({ ...usual(user), name: "version", schemaVersion: 2, migrations: [{ from: 1, to: 2, entity: "tasks", operations: [{ rename: "title", to: "name" }] }] }),
    "version 1": (user) => ({ ...usual(user), name: "version", schemaVersion: 1 }),
    ...Object.fromEntries(["disabled", "fullSync", "adaptive", "incremental"].map((strategy) => [`rare ${strategy}`, rare(strategy)])),
    visitor: (user) => ({ ...usual(user), initialUserId: undefined }),
    refused: (user) => ({
      ...usual(user),
      initialUserId: async () => {
        throw new Error("not now");
      },
    }),
  };

  const follow = async (feed) => {
    for await (const _ of feed);
  };
  /** Opens an instance. */
  window.openAs = async (name, user) => {
    const Datum = await load();
    window.datum = await Datum.initialize(configs[name](user));
    window.tasks = datum.manager("tasks");
    window.user = user;
  };
  /** Asks for the same instance once more. */
  window.openAgain = async (name) => {
    window.datum = await datum.constructor.initialize(configs[name](user));
    window.tasks = datum.manager("tasks");
  };
  /** Does what an app does until it shows something. */
  window.begin = async () => {
    window.feed = datum.statusForUser(user);
    window.statuses = 0;
    void (async () => {
      for await (const _ of feed) window.statuses += 1;
    })();
    window.following = [tasks.watchAll(), tasks.watchById("task-1"), datum.events(), datum.events({ type: "conflictDetected" }), datum.watchCurrentUser(), datum.spaces().watch()];
    for (const feed of following) void follow(feed);
    // A feed that is left at once.
    for (const feed of [datum.statusForUser(user), tasks.watchAll(), tasks.watchById("task-1")]) for await (const _ of feed) break;
    for (const feed of [datum.events(), datum.spaces().watch(), datum.statusForUser(user)]) await feed[Symbol.asyncIterator]().return();
    const unread = datum.statusForUser(user)[Symbol.asyncIterator]();
    void unread.next();
    await unread.return();
    void [feed.current.state, datum.currentUserId, datum.metrics, datum.nextSyncTime(user), tasks.entity, tasks.localAdapter, tasks.remoteAdapter];
    await reads();
  };
  /** Writes. */
  window.writes = async () => {
    await tasks.create({ title: "first", done: false });
    await tasks.create({ id: `task-${Math.random()}`, title: "second", done: false, at: 0.5, tags: ["a"], nested: { deep: [1, null] } });
    await Promise.all([tasks.create({ title: "one" }), tasks.create({ title: "other" })]);
    // Of one entity too, before any of them is stored: as calls that waited for the engine begin together.
    const [a, b] = [`a-${Math.random()}`, `b-${Math.random()}`];
    const many = [{ id: b, title: "b" }, { title: "c" }];
    await Promise.all([tasks.create({ id: a, title: "a" }), tasks.createMany(many), tasks.patch(a, { tags: ["x"] }), tasks.update({ id: b, title: "whole" }), tasks.patch(a, { done: true }), tasks.delete(b), tasks.create({ title: "d" })]);
    await Promise.all([tasks.patch(a, { title: "again" }), tasks.delete(a)]);
    await reads();
  };
  /** Reacts to what the browser tells. */
  window.reacts = async () => {
    for (const name of ["offline", "online"]) dispatchEvent(new Event(name));
    const visible = (state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    };
    visible("hidden");
    visible("visible");
    // A page that is frozen, or left and shown again.
    for (const name of ["freeze", "resume"]) document.dispatchEvent(new Event(name));
    for (const persisted of [false, true]) {
      dispatchEvent(new PageTransitionEvent("pagehide", { persisted }));
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted }));
    }
    datum.stopAutoSync(user);
    datum.startAutoSync(user);
    // The browser frees what the app has dropped.
    datum.manager("tasks");
  };
  /** For a moment the page is as slow as on a busy machine, so that long work is interrupted. */
  window.busy = () => {
    const now = performance.now.bind(performance);
    let [looks, late] = [100, 0];
    performance.now = () => now() + (looks-- > 0 ? (late += 15) : late);
  };
  window.reads = async () => {
    await tasks.readAll();
    await tasks.read("task-1");
    await tasks.count();
  };
  /** Reads what is in a space. */
  window.readsOf = async (spaceId) => {
    const of = { spaceId };
    await Promise.all([tasks.readAll(of), tasks.read("task-2", of), tasks.readPage({ size: 5 }, of), tasks.readPage({ size: 5 })]);
    for (const feed of [tasks.watchAll(of), tasks.watchById("task-2", of)]) for await (const _ of feed) break;
  };
  /** Reads in one way. */
  window.readBy = async (name, id) => {
    const first = async (feed) => {
      for await (const _ of feed) break;
    };
    const ways = {
      readAll: () => tasks.readAll(),
      read: () => tasks.read(id),
      readPage: () => tasks.readPage({ size: 20 }),
      count: () => tasks.count(),
      exists: () => tasks.exists(id),
      watchAll: () => first(tasks.watchAll()),
      watchById: () => first(tasks.watchById(id)),
    };
    await ways[name]();
  };
  /** What apps call besides, some of it before a cycle. */
  window.more = async () => {
    if (!(await tasks.exists("task-1"))) await tasks.create({ id: "task-1", title: "first", done: false });
    await tasks.createMany(Array.from({ length: 50 }, (_, n) => ({ title: `task ${n}`, done: n % 2 === 0, at: n / 3 })));
    await tasks.patch("task-1", { done: true });
    await tasks.update({ ...(await tasks.read("task-1")), title: "changed" });
    await tasks.delete((await tasks.create({ title: "in vain" })).id);
    await tasks.patch("nothing", { done: true }).catch(() => {});
    await tasks.readPage({ size: 5 });
    await datum.pendingCount(user);
    await datum.spaces().list();
  };
}
