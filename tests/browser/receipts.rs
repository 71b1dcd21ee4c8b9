//! Waiting for the end of a write: in the tab that wrote, in another, and after a reload.

use crate::support::browser::client::story;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn a_write_is_waited_for_here_in_another_instance_and_after_a_reload() -> Result<(), JsValue>
{
    story(
        "const a = await open('a'); const twin = await open('a');
         const [here, there] = [a.manager('tasks'), twin.manager('tasks')];
         const one = await here.create({ title: 'milk' });
         let settled = 0;
         const count = (outcome) => { settled++; return outcome; };
         // The twin asks the log, should it not have heard of it yet.
         const waiting = [here.whenSynced(one.id).then(count), there.whenSynced(one.id).then(count), here.whenSynced(one.id, { userId: user }).then(count)];
         await here.readAll();
         equal(settled, 0);
         await twin.synchronize(user);
         equal(await Promise.all(waiting), ['applied', 'applied', 'applied']);
         await a.close(); await twin.close();
         const again = await open('a'); const tasks = again.manager('tasks');
         equal(await tasks.whenSynced(one.id), 'applied');
         const edit = await tasks.patch(one.id, { title: 'oat milk' });
         await again.close();
         await refused(tasks.whenSynced(one.id), 'closed');
         // The edit outlives the page that made it, and so does the wait for it.
         const later = await open('a');
         const pending = later.manager('tasks').whenSynced(edit.id);
         await later.synchronize(user);
         equal(await pending, 'applied');
         await refused(later.manager('tasks').whenSynced('nobody'), 'notFound');
         await refused(later.manager('tasks').whenSynced(7), 'invalidArgument', '`id`');
         await later.manager('tasks').create({ id: 'waits' });
         const left = later.manager('tasks').whenSynced('waits');
         left.catch(() => {});
         await later.close();
         await refused(left, 'closed');",
    )
    .await
}

#[wasm_bindgen_test]
async fn a_merge_and_a_refusal_are_told_by_their_words() -> Result<(), JsValue> {
    story(
        "const a = await open('a'); const b = await open('b', { defaultConflictResolver: 'remotePriority' });
         const one = await a.manager('tasks').create({ title: 'milk' });
         await a.synchronize(user); await b.synchronize(user);
         equal(await b.manager('tasks').whenSynced(one.id), 'applied');
         await a.manager('tasks').patch(one.id, { title: 'oat' }); await a.synchronize(user);
         await b.manager('tasks').patch(one.id, { title: 'soy' });
         const merged = b.manager('tasks').whenSynced(one.id);
         await b.synchronize(user);
         equal(await merged, 'merged');
         await b.manager('tasks').create({ id: 'big', text: 'x'.repeat(1000000) });
         const rejected = b.manager('tasks').whenSynced('big');
         await b.synchronize(user);
         equal(await rejected, 'rejected');
         await a.close(); await b.close();",
    )
    .await
}
