//! Runs the loop of automatic cycles in virtual time beside a test.

use std::future::Future;
use std::pin::pin;

use datum_sync::engine::auto_sync::Signal;
use datum_sync::plan::write::{Write, Written};
use futures_util::future::{Either, select};

use super::world::{App, Device, Tab};

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// A config that starts automatic cycles at sign-in, with everything else off.
pub const AUTO: &str = r#"{"entities":{"tasks":{}},"autoStartSync":true,"coldStart":{"strategy":"disabled"},"retry":{"maxAttempts":1,"jitter":"none","initial":2000}}"#;

/// Opens a visible tab that is the leader.
pub fn leader_tab(device: &Device) -> Tab {
    let tab = device.open();
    tab.engine.auto_sync().signal(Signal::Leader(true));
    device.requests();
    tab
}

/// Runs a future while the tab's loop runs.
pub fn with_auto_sync<T>(tab: &Tab, story: impl Future<Output = T>) -> T {
    let (story, schedule) = (pin!(story), pin!(tab.engine.auto_sync().run()));
    let told = tab.run(select(story, schedule));
    match told {
        Either::Left((told, _)) => told,
        Either::Right(_) => panic!("the loop ended before the story"),
    }
}

pub async fn wait(tab: &Tab, ms: u64) {
    tab.engine.host().clock.sleep(ms).await;
}

pub async fn create(app: &App, user: &str, title: &str) {
    let draft = format!(r#"{{"title":"{title}"}}"#);
    assert!(matches!(
        app.entities()
            .write(user, "tasks", vec![Write::Create { draft }])
            .await
            .unwrap()[0],
        Written::Entity(_)
    ));
}

pub fn pulls(device: &Device) -> usize {
    device
        .requests()
        .iter()
        .filter(|request| *request == "POST /pull")
        .count()
}
