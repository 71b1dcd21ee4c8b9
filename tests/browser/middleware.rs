//! The app's middleware around its entities.

use crate::support::browser::client::story;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

/// Shared by these scripts: `told(run)` returns the errors logged meanwhile, `mark(letter)` is
/// middleware that appends a letter to titles, and `cipher` is shared by two devices.
const TOOLS: &str = "
    const told = async (run) => { const said = []; const error = console.error; console.error = (...words) => said.push(words); try { await run(); } finally { console.error = error; } return said; };
    const mark = (x) => ({ beforeSave: (e) => ({ ...e, title: e.title + x }), afterRead: (e) => { if (!e.title.endsWith(x)) throw new Error(`${e.title} does not end with ${x}`); e.title = e.title.slice(0, -1); return e; } });
    const turn = (text) => [...text].map((c) => String.fromCharCode(c.charCodeAt(0) ^ 1)).join('');
    const cipher = {
      beforeSave({ title, n, ...rest }) { return { ...rest, box: turn(JSON.stringify({ title, n })) }; },
      afterRead({ box, ...rest }) { return { ...rest, ...JSON.parse(turn(box)) }; },
    };
    const tasks = (more) => ({ entities: { tasks: more } });
";

async fn tale(body: &str) -> Result<(), JsValue> {
    story(&[TOOLS, body].concat()).await
}

#[wasm_bindgen_test]
async fn saving_goes_down_the_chain_and_reading_comes_back_up() -> Result<(), JsValue> {
    tale(
        "const a = await open('a', tasks({ ...mark('1'), middleware: [mark('2'), mark('3')] })); const t = a.manager('tasks');
         const one = await t.create({ title: 'milk' });
         equal(one.title, 'milk');
         equal([(await t.update({ ...one, title: 'tea' })).title, (await t.patch(one.id, { title: 'salt' })).title], ['tea', 'salt']);
         const many = await t.createMany([{ id: 'x', title: 'x' }, { id: 'y', title: 'y' }]);
         equal([many.map((e) => e.title), (await t.updateMany(many)).map((e) => e.title)], [['x', 'y'], ['x', 'y']]);
         equal([(await t.read(one.id)).title, (await t.readAll()).map((e) => e.title), (await t.readPage({})).items.map((e) => e.title)], ['salt', ['salt', 'x', 'y'], ['salt', 'x', 'y']]);
         const both = await t.pushAndSync({ id: 'z', title: 'z' });
         equal([both.entity.title, both.result.isSuccess], ['z', true]);
         if (![one, many[0], await t.read(one.id)].every(Object.isFrozen)) throw new Error('not frozen');
         await a.close();
         const plain = await open('a'); const stored = await plain.manager('tasks').readAll();
         equal(stored.map((e) => e.title), ['salt123', 'x123', 'y123', 'z123']);
         await plain.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn what_validate_throws_refuses_the_write_and_is_its_cause() -> Result<(), JsValue> {
    tale(
        "const seen = []; const thrown = new TypeError('no title');
         const a = await open('a', tasks({ validate(e) { seen.push(e); if (e.title === 'bad') throw thrown; }, middleware: [{ validate: (e) => { if (e.title === 'worse') throw 'a word'; } }] })); const t = a.manager('tasks');
         const one = await t.create({ title: 'good', n: 1 });
         equal(seen.pop(), { title: 'good', n: 1 });
         for (const write of [() => t.create({ title: 'bad' }), () => t.createMany([{ title: 'good' }, { title: 'bad' }]), () => t.update({ ...one, title: 'bad' }), () => t.updateMany([{ ...one, title: 'better' }, { ...one, title: 'bad' }]), () => t.patch(one.id, { title: 'bad' }), () => t.pushAndSync({ title: 'bad' })]) {
           const error = await refused(write(), 'invalidEntity', '`entities.tasks.validate` refused the entity: no title');
           if (error.cause !== thrown || error.entity !== 'tasks' || !(error instanceof Error)) throw error;
         }
         equal((await refused(t.create({ title: 'worse' }), 'invalidEntity', 'middleware[0].validate')).cause, 'a word');
         equal([await t.count(), await a.pendingCount(user), (await t.read(one.id)).title], [1, 1, 'good']);
         seen.length = 0;
         await t.patch(one.id, { n: 2 });
         equal([seen[0].title, seen[0].n, seen[0].id, seen[0].version, seen[0].isDeleted], ['good', 2, one.id, 0, false]);
         const draft = { title: 'x', list: [1] };
         const b = await open('b', tasks({ validate(e) { try { e.list.push(2); } catch { return; } throw new Error('it could be changed'); } }));
         equal((await b.manager('tasks').create(draft)).list, [1]);
         if (Object.isFrozen(draft)) throw new Error('the draft of the app was frozen');
         await refused(t.patch('nobody', { title: 'x' }), 'notFound');
         await refused(t.patch(one.id, { id: 'other' }), 'invalidEntity', '`id`');
         await refused(t.create(null), 'invalidEntity', 'The draft must be an object');
         await refused(t.create({ n: 1n }), 'invalidEntity', 'BigInt');
         await refused(t.createMany({}), 'invalidEntity', 'array');
         await refused(t.createMany([{ title: 'x' }, 7]), 'invalidEntity', '[1]');
         await a.close(); await b.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_before_save_that_fails_writes_nothing_and_says_what_to_do() -> Result<(), JsValue> {
    tale(
        "const thrown = new Error('no key');
         const answers = { throws() { throw thrown; }, promise: async (e) => e, nothing() {}, text: () => 'x', list: () => [], big: (e) => ({ ...e, n: 1n }), rejects: async () => { throw thrown; } };
         let kind = 'none';
         const a = await open('a', tasks({ beforeSave: (e) => answers[kind] ? answers[kind](e) : e })); const t = a.manager('tasks');
         const one = await t.create({ title: 'milk' });
         for (const [next, word] of [['throws', 'threw: no key'], ['promise', 'synchronous'], ['nothing', 'returned undefined'], ['text', 'returned a string'], ['list', 'returned an array'], ['big', 'What `entities.tasks.beforeSave` returned: `n` is a BigInt'], ['rejects', 'synchronous']]) {
           kind = next;
           for (const write of [() => t.create({ title: 'x' }), () => t.createMany([{ title: 'x' }]), () => t.update(one), () => t.patch(one.id, { title: 'x' })]) {
             const error = await refused(write(), 'invalidEntity', word);
             if (next === 'throws' && error.cause !== thrown) throw error;
           }
         }
         kind = 'none';
         equal([await t.count(), (await t.read(one.id)).title], [1, 'milk']);
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn one_entity_that_cannot_be_read_hides_no_other() -> Result<(), JsValue> {
    tale(
        "const plain = await open('a'); await plain.manager('tasks').createMany(['a', 'b', 'c', 'd'].map((id) => ({ id, title: id }))); await plain.close();
         let answer = () => { throw new Error('bad key'); };
         const a = await open('a', tasks({ afterRead(e) { if (e.id === 'b') { e.title = 'half done'; return answer(e); } e.title = e.title.toUpperCase(); return e; }, beforeSave: (e) => e })); const t = a.manager('tasks');
         const said = await told(async () => {
           equal((await t.readAll()).map((e) => e.title), ['A', 'b', 'C', 'D']);
           equal((await t.readAll()).map((e) => e.title), ['A', 'b', 'C', 'D']);
           equal((await t.read('b')).title, 'b');
         });
         equal([said.length, said[0][1].code, said[0][1].entityId, said[0][1].cause.message], [1, 'invalidEntity', 'b', 'bad key']);
         if (!said[0][1].message.includes('`entities.tasks.afterRead` threw: bad key')) throw said[0][1];
         if (!Object.isFrozen((await t.readAll())[1])) throw new Error('not frozen');
         // What is only as it is stored must not be saved once more.
         await refused(t.patch('b', { n: 1 }), 'invalidEntity', 'afterRead');
         equal((await t.patch('a', { n: 1 })).n, 1);
         for (answer of [async (e) => e, () => {}, () => null, () => 7]) equal((await t.read('b')).title, 'b');
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn what_the_engine_owns_no_middleware_changes() -> Result<(), JsValue> {
    tale(
        "const lies = { id: 'other', userId: 'bob', version: 99, isDeleted: true, createdAt: 'never', modifiedAt: 'never' };
         const a = await open('a', tasks({ beforeSave: (e) => ({ ...e, ...lies, n: 1 }), afterRead: (e) => Object.freeze({ ...e, ...lies, m: 2 }) })); const t = a.manager('tasks');
         const own = (e) => [e.userId, e.version, e.isDeleted, e.createdAt.length, e.modifiedAt.length, e.n, e.m];
         const one = await t.create({ title: 'x' });
         equal([own(one), one.id === 'other'], [['ann', 0, false, 24, 24, 1, 2], false]);
         for (const e of [await t.update({ ...one, title: 'y' }), await t.patch(one.id, { title: 'z' }), await t.read(one.id)]) equal([e.id, own(e)], [one.id, own(one)]);
         equal((await t.create({ id: 'mine', title: 'x' })).id, 'mine');
         equal([await t.count(), await t.exists('other')], [2, false]);
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_patch_sends_the_fields_whose_stored_value_differs() -> Result<(), JsValue> {
    tale(
        "const sent = [];
         const adapter = { async pull() { return { changes: [], cursor: '1', more: false }; }, async push(request) { sent.push(...request.operations); return { results: request.operations.map((op, i) => ({ opId: op.opId, status: 'applied', version: sent.length })) }; } };
         const a = await open('a', { remote: adapter, ...tasks({ beforeSave: ({ title, tags, ...e }) => ({ ...e, title: title.toLowerCase(), count: tags.length, ...(tags.length ? { joined: tags.join() } : {}) }), afterRead: ({ joined, count, ...e }) => ({ ...e, tags: joined ? joined.split(',') : [] }) }) });
         const t = a.manager('tasks'); const fields = () => { const op = sent.at(-1); return [op.kind, Object.keys(op.data).sort().join()]; };
         const one = await t.create({ title: 'MILK', tags: ['a'], other: 1 });
         equal([one.title, one.tags], ['milk', ['a']]);
         await a.synchronize(user, { direction: 'pushOnly' });
         const two = await t.patch(one.id, { tags: ['a', 'b'] });
         equal([two.tags, two.title], [['a', 'b'], 'milk']);
         await a.synchronize(user, { direction: 'pushOnly' });
         equal(fields(), ['patch', 'count,joined,modifiedAt']);
         // A patch can take no field away: then the whole entity is written.
         equal((await t.patch(one.id, { tags: [] })).tags, []);
         await a.synchronize(user, { direction: 'pushOnly' });
         equal([fields()[0], sent.at(-1).data.joined, sent.at(-1).data.count, sent.at(-1).data.other], ['update', undefined, 0, 1]);
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn values_that_are_no_json_pass_through_middleware_that_makes_them() -> Result<(), JsValue> {
    tale(
        "class Task { constructor(e) { Object.assign(this, e); } get isDue() { return this.due < new Date(); } }
         const a = await open('a', tasks({ validate: (e) => { if (!(e.due instanceof Date)) throw new Error('no date'); }, beforeSave: (e) => ({ ...e, due: e.due.getTime() }), afterRead: (e) => new Task({ ...e, due: new Date(e.due) }) })); const t = a.manager('tasks');
         const one = await t.create({ title: 'x', due: new Date(5) });
         const next = await t.patch(one.id, { due: new Date(7) });
         equal([one instanceof Task, one.isDue, Object.isFrozen(one), next.due.getTime()], [true, true, true, 7]);
         equal((await t.patch(one.id, { title: 'y' })).due.getTime(), 7);
         equal((await t.update({ ...next, title: 'z' })).title, 'z');
         const round = {}; round.self = round;
         await refused(t.create({ due: new Date(1), round }), 'invalidEntity', 'itself');
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn two_devices_share_what_the_server_cannot_read() -> Result<(), JsValue> {
    tale(
        "const a = await open('a', tasks(cipher)); const b = await open('b', tasks({ middleware: [cipher] })); const blind = await open('c');
         const ta = a.manager('tasks'); const tb = b.manager('tasks');
         const one = await ta.create({ title: 'secret', n: 1, open: true });
         await a.synchronize(user); await b.synchronize(user); await blind.synchronize(user);
         const read = await tb.read(one.id);
         equal([read.title, read.n, read.open, 'box' in read], ['secret', 1, true, false]);
         const seen = await blind.manager('tasks').read(one.id);
         equal(['title' in seen, seen.open, JSON.stringify(seen).includes('secret')], [false, true, false]);
         await tb.patch(one.id, { n: 2 });
         await b.synchronize(user); await a.synchronize(user);
         equal([(await ta.read(one.id)).n, (await ta.readAll())[0].title], [2, 'secret']);
         // A device without the key shows what is stored, and spoils nothing.
         await blind.manager('tasks').patch(one.id, { open: false });
         await blind.synchronize(user); await a.synchronize(user);
         equal([(await ta.read(one.id)).title, (await ta.read(one.id)).open], ['secret', false]);
         for (const device of [a, b, blind]) await device.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_resolver_sees_and_answers_what_the_app_knows() -> Result<(), JsValue> {
    tale(
        "const a = await open('a', tasks(cipher));
         const asked = [];
         const resolver = (c) => { asked.push(c); return { take: 'merged', data: { ...c.remote, title: `${c.local.title} and ${c.remote.title}` } }; };
         const b = await open('b', tasks({ ...cipher, conflictResolver: resolver })); const c = await open('c', { ...tasks(cipher), defaultConflictResolver: resolver });
         const one = await a.manager('tasks').create({ title: 'milk', n: 1 });
         for (const device of [a, b, c]) await device.synchronize(user);
         for (const [device, options] of [[b, undefined], [c, undefined], [b, { conflictResolver: resolver }]]) {
           await a.synchronize(user); await device.synchronize(user);
           await a.manager('tasks').patch(one.id, { title: 'theirs' }); await a.synchronize(user);
           const base = (await device.manager('tasks').read(one.id)).title;
           await device.manager('tasks').patch(one.id, { title: 'mine' });
           const result = await device.synchronize(user, options);
           const { base: was, local, remote } = asked.pop();
           equal([result.conflictsResolved, was.title, local.title, remote.title, Object.isFrozen(remote), 'box' in local], [1, base, 'mine', 'theirs', true, false]);
           equal((await device.manager('tasks').read(one.id)).title, 'mine and theirs');
           await a.synchronize(user);
           equal((await a.manager('tasks').read(one.id)).title, 'mine and theirs');
         }
         for (const device of [a, b, c]) await device.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_parked_conflict_is_seen_and_decided_as_the_app_knows_it() -> Result<(), JsValue> {
    tale(
        "const a = await open('a', tasks(cipher)); const b = await open('b', tasks({ ...cipher, localOnly: ['draft'], conflictResolver: 'ask' }));
         const one = await a.manager('tasks').create({ title: 'milk', n: 1 });
         await a.synchronize(user); await b.synchronize(user);
         await a.manager('tasks').patch(one.id, { title: 'theirs' }); await a.synchronize(user);
         await b.manager('tasks').patch(one.id, { title: 'mine', draft: 'kept' }); await b.synchronize(user);
         const [conflict] = await b.conflicts(user);
         equal([conflict.base.title, conflict.local.title, conflict.remote.title, 'box' in conflict.local, Object.isFrozen(conflict.remote)], ['milk', 'mine', 'theirs', false, true]);
         await b.resolveConflict(conflict.id, { take: 'merged', data: { ...conflict.remote, title: 'both', draft: 'sent' } });
         await b.synchronize(user); await a.synchronize(user);
         equal([(await a.manager('tasks').read(one.id)).title, 'draft' in await a.manager('tasks').read(one.id), (await b.manager('tasks').read(one.id)).draft], ['both', false, 'kept']);
         await a.close(); await b.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_watch_gives_what_a_read_gives() -> Result<(), JsValue> {
    tale(
        "const a = await open('a', tasks(cipher)); const t = a.manager('tasks');
         const one = await t.create({ title: 'milk', n: 1 }); const other = await t.create({ title: 'tea', n: 2 });
         const all = t.watchAll()[Symbol.asyncIterator](); const single = t.watchById(one.id)[Symbol.asyncIterator](); const none = t.watchById('nobody')[Symbol.asyncIterator]();
         const before = (await all.next()).value;
         equal([before.map((e) => e.title), (await single.next()).value.title, (await none.next()).value], [['milk', 'tea'], 'milk', null]);
         await t.patch(one.id, { n: 3 });
         const after = (await all.next()).value;
         equal([after.map((e) => e.n), (await single.next()).value.n, after[1] === before[1], Object.isFrozen(after[0])], [[3, 2], 3, true, true]);
         for (const loop of [all, single, none]) await loop.return();
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_config_that_is_wrong_is_refused() -> Result<(), JsValue> {
    tale(
        "for (const [config, word] of [
           [{ validate: 1 }, '`entities.tasks.validate` must be a function'], [{ beforeSave: {} }, 'beforeSave'], [{ afterRead: 'x' }, 'afterRead'],
           [{ middleware: {} }, '`entities.tasks.middleware` must be an array'], [{ middleware: [{}] }, 'middleware[0]'], [{ middleware: [null] }, 'middleware[0]'],
           [{ middleware: [{ afterRead() {} }, { validate: 7 }] }, 'middleware[1].validate'], [{ middleware: [{ get validate() { throw new Error('hostile') } }] }, 'hostile'],
           [{ localOnly: ['id'] }, 'localOnly'], [{ localOnly: [''] }, 'localOnly'], [{ localOnly: 'x' }, 'localOnly'],
         ]) await refused(open('a', tasks(config)), 'invalidConfig', word);
         const a = await open('a', tasks({ middleware: [], validate: undefined, beforeSave: null }));
         equal((await a.manager('tasks').create({ title: 'x' })).title, 'x');
         await a.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn fields_that_stay_here_pass_through_middleware_like_all_others() -> Result<(), JsValue> {
    tale(
        "const a = await open('a', tasks({ localOnly: ['draft'], beforeSave: (e) => ({ ...e, draft: turn(e.draft ?? '') }), afterRead: (e) => ({ ...e, draft: turn(e.draft ?? '') }) })); const b = await open('b');
         const t = a.manager('tasks'); const one = await t.create({ title: 'milk', draft: 'mine' });
         await a.synchronize(user);
         equal([(await t.patch(one.id, { draft: 'still mine' })).draft, await a.pendingCount(user)], ['still mine', 0]);
         await b.synchronize(user);
         equal([(await t.read(one.id)).draft, 'draft' in await b.manager('tasks').read(one.id)], ['still mine', false]);
         await a.close(); await b.close();",
    )
    .await
}
