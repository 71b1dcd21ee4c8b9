//! Watches, events, observers, the log, metrics and health.

use crate::support::browser::client::story;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn a_watch_gives_what_is_there_and_then_each_change() -> Result<(), JsValue> {
    story(
        "const a = await open('a'); const tasks = a.manager('tasks');
         const [tea, milk] = await tasks.createMany([{ id: 'b', title: 'tea' }, { id: 'd', title: 'milk' }]);
         const watch = tasks.watchAll()[Symbol.asyncIterator]();
         const first = (await watch.next()).value;
         equal(first.map((t) => t.title), ['tea', 'milk']);
         await tasks.patch('d', { title: 'oat milk' });
         const second = (await watch.next()).value;
         equal(second.map((t) => t.title), ['tea', 'oat milk']);
         if (second[0] !== first[0]) throw new Error('an unchanged entity is another object');
         if (second[1] === first[1] || !Object.isFrozen(second[1])) throw new Error('a changed entity must be a new, frozen object');
         await tasks.createMany([{ id: 'a', title: 'a' }, { id: 'c', title: 'c' }, { id: 'e', title: 'e' }]);
         await tasks.delete('b');
         const third = (await watch.next()).value;
         equal(third.map((t) => t.id), ['a', 'c', 'd', 'e']);
         equal(third.map((t) => t.id), (await tasks.readAll()).map((t) => t.id));
         if (third[2] !== second[1]) throw new Error('not the same object');
         third.sort(() => -1);
         await tasks.delete('a');
         equal((await watch.next()).value.map((t) => t.id), ['c', 'd', 'e']);
         const waiting = watch.next();
         await watch.return();
         equal([(await waiting).done, (await watch.next()).done], [true, true]);
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn ids_beyond_the_basic_plane_keep_the_engines_order() -> Result<(), JsValue> {
    story(
        "const a = await open('a'); const tasks = a.manager('tasks');
         const ids = ['z', '\u{e000}', '\u{fffd}', '\u{1f600}', '\u{10ffff}', 'a\u{1f600}', 'a\u{ff5e}'];
         const watch = tasks.watchAll()[Symbol.asyncIterator]();
         await watch.next();
         let seen;
         for (const id of ids) { await tasks.create({ id }); seen = (await watch.next()).value; }
         equal(seen.map((t) => t.id), (await tasks.readAll()).map((t) => t.id));
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn another_instance_and_the_remote_are_seen_by_a_watch() -> Result<(), JsValue> {
    story(
        "const a = await open('a'); const twin = await open('a'); const b = await open('b');
         const seen = []; const sources = [];
         const reading = (async () => { for await (const all of a.manager('tasks').watchAll()) { seen.push(all.length); } })();
         const listening = (async () => { for await (const event of a.events({ type: 'dataChanged' })) sources.push(event.source); })();
         const until = async (n) => { for (let i = 0; i < 500 && seen.at(-1) !== n; i++) await new Promise((go) => setTimeout(go, 10)); equal(seen.at(-1), n); };
         await until(0);
         await twin.manager('tasks').create({ title: 'from the twin' });
         await until(1);
         await b.manager('tasks').createMany(Array.from({ length: 50 }, (_, n) => ({ n })));
         await b.synchronize(user);
         await a.synchronize(user, { direction: 'pullOnly' });
         await until(51);
         equal(seen, [0, 1, 51]);
         await a.close(); await reading; await listening;
         equal(sources, ['otherTab', 'remote']);
         await twin.close(); await b.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn one_entity_is_watched_by_its_id_and_null_where_there_is_none() -> Result<(), JsValue> {
    story(
        "const a = await open('a'); const tasks = a.manager('tasks');
         const watch = tasks.watchById('t')[Symbol.asyncIterator]();
         equal((await watch.next()).value, null);
         await tasks.create({ id: 'other' });
         await tasks.create({ id: 't', title: 'milk' });
         equal((await watch.next()).value.title, 'milk');
         await tasks.delete('t');
         equal((await watch.next()).value, null);
         await refused(tasks.watchById('')[Symbol.asyncIterator]().next(), 'invalidArgument');
         const waiting = watch.next();
         await a.close();
         equal((await waiting).done, true);
         await refused(tasks.watchById('t')[Symbol.asyncIterator]().next(), 'closed');",
    )
    .await
}

#[wasm_bindgen_test]
async fn observers_and_the_log_hear_of_everything_and_can_break_nothing() -> Result<(), JsValue> {
    story(
        "const heard = []; const log = []; const complaints = []; const report = console.error; console.error = (...words) => complaints.push(words.join(' '));
         const written = [];
         try {
           const observers = [{ onEvent() { throw new Error('an observer of mine'); } }, { onEvent: async () => { throw new Error('later'); } }, { onEvent: (event) => heard.push(event), beforeWrite: (entity, kind, draft) => { written.push([entity, kind, draft.title]); throw new Error('before'); } }];
           const logger = { log(entry) { log.push(entry); if (log.length % 2) throw new Error('a logger of mine'); } };
           const a = await open('a', { observers, logger, logLevel: 'debug' });
           await a.manager('tasks').create({ title: 'secret' });
           equal(written, [['tasks', 'create', 'secret']]);
           equal((await a.synchronize(user)).isSuccess, true);
           for (let n = 0; n < 300 && !heard.some((event) => event.type === 'syncCompleted'); n++) await new Promise((go) => setTimeout(go, 10));
           equal(heard.map((event) => event.type).filter((type) => !['syncProgress', 'leaderChanged'].includes(type)).slice(0, 2), ['dataChanged', 'syncStarted']);
           if (!Object.isFrozen(heard[0])) throw new Error('not frozen');
           if (complaints.length < 2) throw new Error('nobody was told');
           equal(log.some((entry) => entry.scope === 'remote' && entry.fields.path === '/sync/v1/push' && entry.fields.status === 200), true);
           const loud = log.filter((entry) => !['debug', 'trace'].includes(entry.level));
           equal([loud[0].level, loud[0].message, loud.at(-1).fields.isSuccess], ['info', 'A cycle has begun.', true]);
           equal(/ann|secret/.test(JSON.stringify(loud)), false);
           await a.close();
           const silent = []; const b = await open('b', { logger: { log: (entry) => silent.push(entry) }, logLevel: 'off' });
           await b.synchronize(user); await b.close();
           equal(silent, []);
         } finally { console.error = report; }",
    )
    .await
}

#[wasm_bindgen_test]
async fn bad_observers_loggers_and_filters_are_refused_by_name() -> Result<(), JsValue> {
    story(
        "await refused(open('x', { observers: {} }), 'invalidConfig', '`observers`');
         await refused(open('x', { logger: console.log }), 'invalidConfig', '`logger`');
         await refused(open('x', { logLevel: 'loud' }), 'invalidConfig', '`logLevel`');
         const a = await open('a');
         await refused((async () => a.events({ type: 'nonsense' }))(), 'invalidArgument', 'type');
         await refused((async () => a.events({ users: 'x' }))(), 'invalidArgument', 'users');
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn health_and_metrics_say_how_it_goes() -> Result<(), JsValue> {
    story(
        "const a = await open('a');
         equal(await a.checkHealth(), { status: 'healthy', local: 'healthy', remote: 'healthy' });
         const b = await open('b', { remote: { url: 'https://api.test', fetch: async () => { throw new TypeError('no route'); } } });
         equal((await b.checkHealth(user)).remote, 'unreachable');
         equal(b.statusForUser(user).current.health.remote, 'unreachable');
         await a.manager('tasks').create({});
         await a.synchronize(user);
         const { cycles, successfulCycles, failedCycles, activeUsers, commits, requests } = a.metrics;
         equal([cycles, successfulCycles, failedCycles, activeUsers], [1, 1, 0, ['ann']]);
         if (!(commits >= 3 && requests >= 3)) throw new Error(`${commits} commits, ${requests} requests`);
         await a.close(); await b.close();",
    )
    .await
}
