//! Users of one page: switching, signing out, and the token of each request.

use crate::support::browser::client::story;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

/// Runs before each script: `as` is the user whose token the app sends, `sent` the requests of `a`.
const SIGNED_IN: &str = "
    const token = { as: 'ann' }; const sent = [];
    const remote = { url: 'https://api.test', headers: () => ({ Authorization: token.as }), fetch: (url, init) => { sent.push({ url, ...init }); return fetch(url, init); } };
    const a = await open('a', { remote }); const tasks = a.manager('tasks');
    const titles = async (userId) => (await tasks.readAll({ userId })).map((t) => t.title).sort();
";

async fn signed_in(body: &str) -> Result<(), JsValue> {
    story(&format!("{SIGNED_IN}{body} await a.close();")).await
}

#[wasm_bindgen_test]
async fn each_user_has_a_database_and_calls_go_to_whoever_is_current_when_they_are_made()
-> Result<(), JsValue> {
    signed_in(
        "await tasks.create({ title: 'milk' });
         const late = tasks.create({ title: 'tea' }); const read = tasks.readAll(); const page = tasks.readPage({});
         const switching = a.switchUser({ oldUserId: 'ann', newUserId: 'bob', strategy: 'keepLocal' });
         const later = tasks.create({ title: 'rice' });
         const switched = await switching;
         equal([switched.success, switched.previousUserId, switched.newUserId, 'error' in switched], [true, 'ann', 'bob', false]);
         equal([a.currentUserId, await tasks.count()], ['bob', 0]);
         for (const written of [await late, await later]) equal(written.userId, 'ann');
         for (const one of [...(await read), ...(await page).items]) equal(one.userId, 'ann');
         await tasks.create({ title: 'of bob' });
         equal([await titles('ann'), await titles('bob')], [['milk', 'rice', 'tea'], ['of bob']]);
         equal(sent.length, 0);
         equal(await a.userIds(), ['ann', 'bob']);
         await a.switchUser({ newUserId: 'ann' });
         equal([a.currentUserId, (await tasks.readAll()).length], ['ann', 3]);",
    )
    .await
}

#[wasm_bindgen_test]
async fn the_default_strategy_is_the_configs_and_pushes_under_the_previous_users_name()
-> Result<(), JsValue> {
    signed_in(
        "await tasks.create({ title: 'milk' });
         equal((await a.switchUser({ newUserId: 'bob' })).unsyncedOperations, 0);
         equal(sent.map((r) => [r.method, JSON.parse(r.body).userId]), [['POST', 'ann'], ['PUT', 'ann']]);
         const b = await open('b', { defaultUserSwitchStrategy: 'promptIfUnsyncedData' });
         await b.manager('tasks').create({ title: 'rice' });
         const refused = await b.switchUser({ newUserId: 'bob' });
         equal([refused.success, refused.unsyncedOperations, refused.error.code, b.currentUserId], [false, 1, 'unsyncedData', 'ann']);
         await b.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn nothing_goes_under_another_users_token() -> Result<(), JsValue> {
    signed_in(
        "await tasks.create({ title: 'synced' }); await a.synchronize(user);
         await tasks.create({ title: 'waiting' });
         token.as = 'bob & co';
         const error = await refused(a.synchronize(user), 'userMismatch');
         equal([error.status, error.retryable, await a.pendingCount(user)], [409, false, 1]);
         await refused(a.synchronize(user, { direction: 'pullOnly', forceFullSync: true }), 'userMismatch');
         await refused(a.getRemoteSyncMetadata(user), 'userMismatch');
         await refused(a.clearSyncMetadata(user, { remote: true }), 'userMismatch');
         equal(await titles('ann'), ['synced', 'waiting']);
         const away = await a.switchUser({ newUserId: 'bob & co' });
         equal([away.success, away.unsyncedOperations, away.error.code], [true, 1, 'userMismatch']);
         equal((await a.synchronize('bob & co')).isSuccess, true);
         equal((await a.getRemoteSyncMetadata('bob & co')).userId, 'bob & co');
         equal(await titles('bob & co'), []);
         token.as = 'ann';
         await a.switchUser({ newUserId: user });
         equal([(await a.synchronize(user)).pushedCount, (await a.getRemoteSyncMetadata(user)).deviceCount], [1, 1]);",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_logout_flushes_keeps_what_it_could_not_and_wipes_only_what_is_synced()
-> Result<(), JsValue> {
    signed_in(
        "await tasks.create({ title: 'milk' });
         equal(await a.logout(user), { flushed: 1, unsynced: [], deadLetters: 0, wiped: false });
         equal([a.currentUserId, a.statusForUser(user).current.status], [null, 'idle']);
         await refused(tasks.readAll(), 'noUser');
         await a.switchUser({ newUserId: user });
         equal(await titles(user), ['milk']);
         const one = await tasks.create({ title: 'tea' });
         const error = await refused(a.logout(user, { flush: 0, wipe: true }), 'unsyncedData', '1 pending operation');
         equal([error.userId, a.currentUserId, await a.pendingCount(user)], [user, user, 1]);
         const kept = await a.logout(user, { flush: 0 });
         equal(kept.unsynced.map((op) => [op.entityId, op.kind]), [[one.id, 'create']]);
         const again = await open('a', { remote });
         equal(await again.pendingCount(user), 1);
         equal(await again.logout(user, { wipe: true }), { flushed: 1, unsynced: [], deadLetters: 0, wiped: true });
         equal(await again.userIds(), []);
         await again.switchUser({ newUserId: user, strategy: 'clearAndFetch' });
         equal((await again.manager('tasks').readAll()).length, 2);
         await again.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn the_apps_own_metadata_reaches_the_remote() -> Result<(), JsValue> {
    signed_in(
        "await a.setCustomMetadata(user, { name: 'phone', panes: [1, { wide: null }] });
         equal((await a.getSyncMetadata(user)).customMetadata, { name: 'phone', panes: [1, { wide: null }] });
         await a.synchronize(user);
         equal((await a.getRemoteSyncMetadata(user)).customMetadata.panes, [1, { wide: null }]);
         for (const bad of [undefined, null, 7, 'x', [1], { n: 1n }, { x: 'y'.repeat(1 << 14) }, { f() {} }]) await refused(a.setCustomMetadata(user, bad), 'invalidArgument', 'custom metadata');
         await refused(a.setCustomMetadata('', {}), 'invalidArgument');
         equal((await a.getSyncMetadata(user)).customMetadata.name, 'phone');",
    )
    .await
}

#[wasm_bindgen_test]
async fn bad_input_is_refused_by_name() -> Result<(), JsValue> {
    signed_in(
        "for (const [given, word] of [[undefined, 'newUserId'], ['bob', 'switchUser'], [{ newUserId: 7 }, 'newUserId'], [{ newUserId: '' }, 'userId'], [{ newUserId: 'b', strategy: 'ask' }, 'strategy'], [{ newUserId: 'b', oldUserId: 'carl' }, 'oldUserId'], [{ newUserId: 'b', old: 'x' }, 'old']])
           await refused(a.switchUser(given), 'invalidArgument', word);
         for (const [id, options, word] of [[7, {}, 'userId'], [user, { flush: -1 }, 'flush'], [user, { wipe: 1 }, 'wipe'], [user, { forced: true }, 'forced']])
           await refused(a.logout(id, options), 'invalidArgument', word);
         equal([a.currentUserId, await a.userIds()], [user, [user]]);
         await refused(open('c', { defaultUserSwitchStrategy: 'never' }), 'invalidConfig', 'defaultUserSwitchStrategy');",
    )
    .await
}

#[wasm_bindgen_test]
async fn the_first_user_may_be_nobody_and_must_answer_in_time() -> Result<(), JsValue> {
    signed_in(
        "for (const nobody of [null, undefined, () => null, async () => undefined]) {
           const c = await open('c', { initialUserId: nobody });
           equal([c.currentUserId ?? null, await c.userIds()], [null, []]);
           await refused(c.manager('tasks').create({}), 'noUser');
           await c.close();
         }
         for (const [given, id] of [['carl', 'carl'], [() => 'carl', 'carl'], [async () => 'dora', 'dora']]) {
           const c = await open('d', { initialUserId: given }); equal(c.currentUserId, id); await c.close();
         }
         for (const bad of [() => { throw new Error('no'); }, async () => { throw new Error('no'); }, () => 7, 7]) await refused(open('e', { initialUserId: bad }), 'invalidConfig', 'initialUserId');
         const { setTimeout: later } = globalThis; const waits = [];
         const silent = () => { globalThis.setTimeout = (go, ms, ...rest) => { waits.push(ms); return later.call(globalThis, go, 0, ...rest); }; return new Promise(() => {}); };
         try { await refused(open('f', { initialUserId: silent }), 'timeout', 'initialUserId'); } finally { globalThis.setTimeout = later; }
         equal(waits, [10_000]);",
    )
    .await
}
