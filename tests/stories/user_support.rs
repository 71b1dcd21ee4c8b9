//! Helpers: switches of users, and the titles that the server has of each.

use crate::support::world::{Tab, World};
use datum_sync::engine::users::UserSwitchResult;
use datum_sync::model::config::UserSwitch;
use datum_sync::model::config::UserSwitch::{
    ClearAndFetch, KeepLocal, PromptIfUnsyncedData, SyncThenSwitch,
};

pub const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"syncTimeout":5000,"excludedSyncUserIds":["guest"]}"#;

pub const STRATEGIES: [UserSwitch; 4] = [
    SyncThenSwitch,
    ClearAndFetch,
    PromptIfUnsyncedData,
    KeepLocal,
];

pub fn switch(a: &Tab, to: &str, strategy: UserSwitch) -> UserSwitchResult {
    a.run(a.engine.users().switch(None, to, Some(strategy)))
        .unwrap()
}

pub fn server_titles(world: &World, user: &str) -> Vec<String> {
    let rows = world.server.rows(user);
    let mut titles: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            serde_json::from_str::<serde_json::Value>(row.data.as_deref()?).unwrap()["title"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    titles.sort();
    titles
}
