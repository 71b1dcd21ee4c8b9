//! What the browser does to a page: storage that comes late, databases that an app deletes itself.

use crate::support::browser::client::story;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

/// `until(check)` waits for a condition, two seconds at most.
const WAITS: &str = "
    const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
    const until = async (check) => { for (let i = 0; i < 100 && !(await check()); i++) await sleep(20); if (!(await check())) throw new Error('never: ' + check); };
    const names = async () => (await indexedDB.databases()).map(({ name }) => name).filter((name) => name.startsWith(unique)).sort();
    const remove = (name) => new Promise((resolve, reject) => { const request = indexedDB.deleteDatabase(name); request.onsuccess = () => resolve(); request.onerror = () => reject(request.error); });
";

#[wasm_bindgen_test]
async fn what_an_app_deletes_on_purpose_does_not_come_back_from_an_open_tab() -> Result<(), JsValue>
{
    story(&format!(
        "{WAITS}
         const one = await open('a'); const two = await open('a');
         await one.manager('tasks').create({{ title: 'milk' }});
         await until(async () => (await two.manager('tasks').readAll()).length === 1);
         const all = await names();
         equal(all.length, 2);
         await Promise.all(all.map(remove));
         for (const tab of [one, two]) {{
           await refused(tab.manager('tasks').create({{ title: 'late' }}), 'closed');
           await refused(tab.manager('tasks').create({{ title: 'later' }}), 'noUser');
         }}
         await sleep(300);
         equal(await names(), []);
         equal(Object.keys(localStorage).filter((key) => key.includes(unique)), []);
         // A new sign-in begins anew.
         await one.switchUser({{ newUserId: user }});
         equal((await one.manager('tasks').readAll()).length, 0);
         await one.manager('tasks').create({{ title: 'new' }});
         await one.close(); await two.close();
         const again = await open('a');
         equal((await again.manager('tasks').readAll()).map((task) => task.title), ['new']);
         await again.close();"
    ))
    .await
}

#[wasm_bindgen_test]
async fn a_storage_that_fails_at_the_start_is_waited_for_where_something_is_stored()
-> Result<(), JsValue> {
    story(&format!(
        "{WAITS}
         const before = await open('a');
         await before.manager('tasks').create({{ title: 'milk' }});
         await before.close();
         const real = IDBFactory.prototype.open;
         let failing = true; setTimeout(() => {{ failing = false; }}, 1000);
         IDBFactory.prototype.open = function (...given) {{ if (failing) throw new DOMException('Internal error opening backing store', 'UnknownError'); return real.apply(this, given); }};
         try {{
           const after = await open('a');
           equal((await after.manager('tasks').readAll()).map((task) => task.title), ['milk']);
           equal((await after.pendingOperations(user)).length, 1);
           equal((await after.checkHealth(user)).local, 'healthy');
           await after.close();
           // Nothing is stored under that name, so there is nothing to wait for.
           failing = true;
           const began = performance.now();
           const fresh = await open('b');
           equal((await fresh.checkHealth(user)).local, 'memoryOnly');
           if (performance.now() - began > 2000) throw new Error('waited');
           await fresh.close();
         }} finally {{ IDBFactory.prototype.open = real; }}"
    ))
    .await
}
