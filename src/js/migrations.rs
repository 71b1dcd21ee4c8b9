//! The app's migrations, as `migrations.js` has checked them, and its function for failures.

use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::prelude::*;

use crate::engine::migrations::Migrations;
use crate::js::convert::{error_to_js, from_js};
use crate::model::error::{Code, Error, Result};

#[wasm_bindgen]
extern "C" {
    /// What `migrations` of the package's entry for them returns.
    #[derive(Clone)]
    type MigrationChain;
    #[wasm_bindgen(method, structural, getter)]
    fn from(this: &MigrationChain) -> u32;
    #[wasm_bindgen(method, structural, catch)]
    fn begin(this: &MigrationChain, from: u32) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn changes(this: &MigrationChain, entity: &str, from: u32) -> Result<bool, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn migrate(
        this: &MigrationChain,
        entity: &str,
        from: u32,
        entities: &str,
    ) -> Result<String, JsValue>;
}

/// Returns the migrations of a config, if it has any. `on_error` is its `onMigrationError`.
pub(super) fn of(given: Option<JsValue>, on_error: Option<JsValue>) -> Option<Rc<dyn Migrations>> {
    let chain = given?.unchecked_into();
    let on_error = on_error.map(JsCast::unchecked_into);
    Some(Rc::new(AppMigrations { chain, on_error }))
}

struct AppMigrations {
    chain: MigrationChain,
    on_error: Option<Function>,
}

fn failure(thrown: &JsValue) -> Error {
    from_js(thrown, Code::Migration)
}

impl Migrations for AppMigrations {
    fn first(&self) -> u32 {
        self.chain.from()
    }

    fn check(&self, from: u32) -> Result<()> {
        self.chain.begin(from).map_err(|thrown| failure(&thrown))
    }

    fn changes(&self, entity: &str, from: u32) -> bool {
        self.chain.changes(entity, from).unwrap_or(true)
    }

    fn migrate(&self, entity: &str, from: u32, entities: &str) -> Result<Vec<String>> {
        let migrated = self.chain.migrate(entity, from, entities);
        let text = migrated.map_err(|thrown| failure(&thrown))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn failed(&self, error: &Error) {
        if let Some(on_error) = &self.on_error {
            // The error is on its way to the caller as well.
            let _ = on_error.call1(&JsValue::UNDEFINED, &error_to_js(error));
        }
    }
}
