//! Conflicts as an app sees them: fields merged by policy, explanations, and resolvers that fail.

use crate::support::browser::client::story;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

/// Shared by these scripts: `clash(a, b, base, theirs, mine)` creates a task that both devices have
/// changed.
const TOOLS: &str = "
    const tasks = (more) => ({ entities: { tasks: more } });
    const clash = async (a, b, base, theirs, mine) => {
      const [s, t] = [a.manager('tasks'), b.manager('tasks')];
      await s.create({ id: 't', ...base }); await a.synchronize(user); await b.synchronize(user);
      await s.patch('t', theirs); await a.synchronize(user);
      await t.patch('t', mine);
      return t;
    };
";

async fn tale(body: &str) -> Result<(), JsValue> {
    story(&[TOOLS, body].concat()).await
}

#[wasm_bindgen_test]
async fn fields_are_merged_by_policy_and_the_app_can_ask_why() -> Result<(), JsValue> {
    tale(
        "const policies = { votes: 'sum', price: 'sum', tags: 'union', due: 'min', text: 'text', 'place.city': 'remote' };
         const [a, b] = [await open('a', tasks({ mergeFields: policies })), await open('b', tasks({ mergeFields: policies }))];
         const base = { title: 'milk', votes: 1, price: 0.1, tags: ['x'], due: '2026-03-01T00:00:00Z', text: 'one two', place: { city: 'Bonn', floor: 1 } };
         const t = await clash(a, b, base,
           { title: 'tea', votes: 2, price: 0.2, tags: ['x', 'y'], due: '2026-02-01T00:00:00Z', text: 'one 2', place: { city: 'Rom', floor: 1 } },
           { title: 'salt', votes: 2, price: 0.3, tags: [], due: '2026-02-02T00:00:00Z', text: 'one two three', place: { city: 'Kiel', floor: 2 } });
         const resolved = b.events({ type: 'conflictResolved' })[Symbol.asyncIterator](); const next = resolved.next();
         const result = await b.synchronize(user);
         equal([result.isSuccess, result.conflictsResolved], [true, 1]);
         const { title, votes, price, tags, due, text, place } = await t.read('t');
         equal({ title, votes, price, tags, due, text, place }, { title: 'salt', votes: 3, price: 0.4, tags: ['y'], due: '2026-02-01T00:00:00Z', text: 'one 2 three', place: { city: 'Rom', floor: 2 } });
         await a.synchronize(user);
         equal((await a.manager('tasks').read('t')).price, 0.4);
         const all = await b.explainMerge('tasks', 't');
         equal([all.length, all[0].resolver, all[0].entity, all[0].entityId], [1, 'merge', 'tasks', 't']);
         const by = Object.fromEntries(all[0].fields.map((field) => [field.field, field]));
         equal([by.votes.base, by.votes.local, by.votes.remote, by.votes.taken], [1, 2, 2, 'merged']);
         equal([by['place.city'].taken, by['place.floor'].because, by.title.because], ['remote', 'Only this device changed it.', 'Both sides changed it: the later write, here, was taken.']);
         if (!Object.isFrozen(all) || !Object.isFrozen(by.votes)) throw new Error('not frozen');
         const { value: event } = await next;
         equal([event.taken, event.explanation], ['merged', all[0]]);
         equal([await b.explainMerge('tasks', 'nothing'), await a.explainMerge('tasks', 't')], [[], []]);
         equal((await b.explainMerge('tasks', 't', { userId: 'bob' })).length, 0);
         await refused(b.explainMerge('nothing', 't'), 'invalidArgument', 'nothing');
         await refused(b.explainMerge('tasks', 7), 'invalidArgument', '`id`');
         await refused(b.explainMerge('tasks', 't', { user: 'ann' }), 'invalidArgument', 'userId');
         await b.close();
         const again = await open('b', tasks({ mergeFields: policies }));
         equal(await again.explainMerge('tasks', 't'), all);
         await again.clearUserData(user);
         equal(await again.explainMerge('tasks', 't'), []);
         await a.close(); await again.close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn policies_that_cannot_be_are_refused() -> Result<(), JsValue> {
    tale(
        "for (const [fields, word] of [[{ votes: 'add' }, '`entities.tasks.mergeFields.votes` must be one of'], [{ votes: 1 }, 'mergeFields.votes'], [{ version: 'max' }, 'mergeFields.version'], [{ 'id.x': 'max' }, 'mergeFields.id.x'], [{ 'a..b': 'max' }, '`address.city`'], [{ draft: 'text' }, '`localOnly`'], [[], 'mergeFields'], ['sum', 'mergeFields']]) {
           await refused(open('a', tasks({ localOnly: ['draft'], mergeFields: fields })), 'invalidConfig', word);
         }
         await refused(open('a', { resolverTimeout: 0 }), 'invalidConfig', '`resolverTimeout`');
         await (await open('a', tasks({ mergeFields: null, localOnly: ['draft'] }))).close();",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_resolver_that_fails_parks_the_conflict_and_is_asked_again() -> Result<(), JsValue> {
    tale(
        "let answer; let asked = 0;
         const more = { ...tasks({ conflictResolver: (conflict) => { asked += 1; return answer(conflict); } }), resolverTimeout: 50 };
         for (const [failing, code, word] of [
           [() => new Promise(() => {}), 'timeout', '`resolverTimeout`'], [() => { throw new Error('no'); }, 'conflict', 'threw'], [async () => { throw new Error('no'); }, 'conflict', 'rejected'],
           [() => undefined, 'conflict', 'take'], [() => ({ take: 'mine' }), 'conflict', 'take'], [() => ({ take: 'merged', data: 7 }), 'invalidEntity', 'object'], [() => ({ take: 'merged', data: { n: 1n } }), 'invalidEntity', 'BigInt'],
           [({ local }) => ({ take: 'merged', data: { ...local, id: 'other' } }), 'invalidEntity', '`id`'],
         ]) {
           const [a, b] = [await open('a'), await open('b', more)];
           const t = await clash(a, b, { title: 'milk' }, { title: 'theirs' }, { title: 'mine' });
           await t.create({ title: 'tea' });
           [answer, asked] = [failing, 0];
           const result = await b.synchronize(user);
           equal([result.isSuccess, result.error.code, result.error.entityId, result.conflictsDetected, result.conflictsResolved, result.pushedCount, asked], [false, code, 't', 1, 0, 1, 1]);
           if (!result.error.message.includes(word)) throw new Error(result.error.message);
           const status = b.statusForUser(user).current;
           equal([status.unresolvedConflicts, status.errors.length, (await b.getSyncMetadata(user)).conflictCount, (await t.read('t')).title, (await b.explainMerge('tasks', 't')).length], [1, 1, 1, 'mine', 0]);
           answer = ({ local, remote }) => ({ take: 'merged', data: { ...local, title: `${remote.title} and ${local.title}` } });
           const second = await b.synchronize(user);
           equal([second.isSuccess, second.conflictsResolved, asked, (await b.conflicts(user)).length, (await t.read('t')).title], [true, 1, 2, 0, 'theirs and mine']);
           const [{ resolver, fields }] = await b.explainMerge('tasks', 't');
           equal([resolver, fields.map((field) => [field.field, field.taken])], ['function', [['title', 'merged']]]);
           await a.clearUserData(user); await b.clearUserData(user); await a.manager('tasks').delete('t'); await a.synchronize(user);
           await a.manager('tasks').deleteMany((await a.manager('tasks').readAll()).map((task) => task.id)); await a.synchronize(user);
           await a.close(); await b.close();
         }",
    )
    .await
}

#[wasm_bindgen_test]
async fn aborting_stops_a_cycle_whose_resolver_hangs() -> Result<(), JsValue> {
    tale(
        "let entered; const inside = new Promise((resolve) => { entered = resolve; });
         const [a, b] = [await open('a'), await open('b', tasks({ conflictResolver: () => { entered(); return new Promise(() => {}); } }))];
         await clash(a, b, { title: 'milk' }, { title: 'theirs' }, { title: 'mine' });
         const controller = new AbortController();
         const cycle = b.synchronize(user, { signal: controller.signal });
         await inside; controller.abort();
         equal((await cycle).wasCancelled, true);
         equal([(await b.conflicts(user)).length, await b.pendingCount(user)], [0, 1]);
         equal((await b.synchronize(user, { conflictResolver: () => ({ take: 'remote' }) })).isSuccess, true);
         equal(await b.pendingCount(user), 0);
         await a.close(); await b.close();",
    )
    .await
}
