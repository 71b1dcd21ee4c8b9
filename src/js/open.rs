//! Opens an instance: reads the config, opens the storage, binds the page, signs in the first user.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::js::config::{self, ParsedConfig};
use crate::js::instance::{Instance, LiveParts, WaitingNotice};
use crate::js::page_bindings::PageBindings;
use crate::js::{convert, page, persist, schedule};
use crate::model::error::Result;
use crate::util::cell::RefCell;
use crate::web::host::WebHost;
use crate::web::storage::WebBacking;

/// How many bytes of memory the module requests when an instance opens. The allocator alone grows
/// memory by single pages, and each growth costs the browser as much as a hundred allocations.
/// Unused memory stays address space.
const INITIAL_MEMORY: usize = 4 << 20;

/// Prepares the module, before the first task.
pub(super) fn prepare() {
    convert::watch_panics();
    crate::web::fractions::install_browser_fractions();
    drop(std::hint::black_box(Vec::<u8>::with_capacity(
        INITIAL_MEMORY,
    )));
}

pub(super) async fn open(given: &JsValue) -> Result<Rc<Instance>> {
    let ParsedConfig {
        config,
        data,
        remote,
        resolvers,
        middleware,
        initial_user,
        audience,
        migrations,
    } = config::read(given)?;
    let backing = WebBacking::open(&config.name).await?;
    let engine = Engine::new(backing, remote, Rc::new(WebHost::new()), config, resolvers);
    engine.replace_migrations(migrations);
    let told = audience.follow(&engine);
    let instance = Rc::new(Instance {
        engine,
        live: RefCell::new(LiveParts {
            middleware,
            audience,
            told,
        }),
        page: PageBindings::default(),
        waiting: WaitingNotice::default(),
        config: data,
    });
    page::bind(&instance);
    persist::watch(&instance);
    if let Err(error) = sign_in(&instance, initial_user).await {
        // A failed attempt leaves no listener, no reader of events and no open database.
        instance.engine.close().await;
        instance.page.release();
        return Err(error);
    }
    schedule::attend(&instance);
    Ok(instance)
}

async fn sign_in(instance: &Instance, given: Option<JsValue>) -> Result<()> {
    match config::initial_user(given, instance.engine.host()).await? {
        Some(user) => instance.engine.sign_in(&user).await,
        None => Ok(()),
    }
}
