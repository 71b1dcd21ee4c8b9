//! The leader among the tabs of one origin: Web Locks and page visibility. Two hosts in one page
//! queue for a lock as two tabs do.

use std::cell::RefCell;
use std::rc::Rc;

use crate::support::browser::page::page;
use datum_sync::web::host::WebHost;
use datum_sync::web::leader::LeaderElection;
use datum_sync::web::page::Presence;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

/// A tab, and whether it leads.
struct Tab {
    lead: LeaderElection,
    heard: UnboundedReceiver<bool>,
}

impl Tab {
    /// Opens in the background: it queues.
    fn hidden(app: &str) -> Self {
        page().set_visibility(Some("hidden"));
        let tab = Self::open(app);
        page().set_visibility(None);
        tab
    }

    /// Opens in front.
    fn visible(app: &str) -> Self {
        page().set_visibility(Some("visible"));
        let tab = Self::open(app);
        page().set_visibility(None);
        tab
    }

    fn open(app: &str) -> Self {
        let (told, heard) = unbounded_channel();
        let lead = WebHost::new().lead(app, move |leads| told.send(leads).unwrap());
        Self { lead, heard }
    }

    async fn hears(&mut self, leads: bool) {
        assert_eq!(self.heard.recv().await, Some(leads));
    }

    fn heard_nothing(&mut self) {
        assert!(self.heard.try_recv().is_err());
    }
}

/// Holders and waiters of the app's lock, as the browser has them.
async fn locks(app: &str) -> String {
    JsFuture::from(page().lock_counts(app))
        .await
        .unwrap()
        .as_string()
        .unwrap()
}

#[wasm_bindgen_test]
async fn one_tab_leads_and_the_next_one_in_the_queue_follows() {
    let app = unique();
    let mut first = Tab::hidden(&app);
    first.hears(true).await;
    let (mut second, mut other) = (Tab::hidden(&app), Tab::hidden(&unique()));
    other.hears(true).await;
    assert_eq!(locks(&app).await, "1,1");
    second.heard_nothing();
    drop(first);
    second.hears(true).await;
    assert_eq!(locks(&app).await, "1,0");
}

#[wasm_bindgen_test]
async fn a_visible_tab_takes_the_lead_from_one_that_may_be_frozen() {
    let app = unique();
    let mut first = Tab::visible(&app);
    first.hears(true).await;
    let mut second = Tab::visible(&app);
    second.hears(true).await;
    first.hears(false).await;
    first.lead.presence(Presence::Visible);
    first.hears(true).await;
    second.hears(false).await;
    assert_eq!(locks(&app).await, "1,1", "who lost it queues");
    drop(first);
    second.hears(true).await;
}

#[wasm_bindgen_test]
async fn a_tab_that_is_hidden_passes_the_lead_on_and_has_it_again_when_nobody_else_wants_it() {
    let app = unique();
    let mut first = Tab::visible(&app);
    first.hears(true).await;
    let mut second = Tab::hidden(&app);
    locks(&app).await;
    first.lead.presence(Presence::Hidden);
    first.hears(false).await;
    second.hears(true).await;
    second.lead.presence(Presence::Hidden);
    second.hears(false).await;
    first.hears(true).await;
    drop(second);
    first.lead.presence(Presence::Hidden);
    first.hears(false).await;
    first.hears(true).await;
    first.lead.presence(Presence::Visible);
    assert_eq!(locks(&app).await, "1,0");
    first.heard_nothing();
}

#[wasm_bindgen_test]
async fn a_page_that_is_put_away_holds_nothing_and_waits_for_nothing() {
    let app = unique();
    let (mut first, mut second) = (Tab::visible(&app), Tab::hidden(&app));
    first.hears(true).await;
    second.lead.presence(Presence::Away);
    first.lead.presence(Presence::Away);
    first.hears(false).await;
    // Freed some turns after it was let go.
    while locks(&app).await != "0,0" {}
    second.heard_nothing();
    second.lead.presence(Presence::Visible);
    second.hears(true).await;
}

#[wasm_bindgen_test]
async fn a_tab_that_is_closed_hears_nothing_more_and_leaves_no_lock() {
    let app = unique();
    let Tab { lead, mut heard } = Tab::visible(&app);
    assert_eq!(heard.recv().await, Some(true));
    drop(lead);
    assert_eq!(heard.recv().await, None);
    drop(Tab::visible(&app));
    drop(Tab::hidden(&app));
    while locks(&app).await != "0,0" {}
}

#[wasm_bindgen_test]
async fn without_locks_or_where_they_are_refused_every_tab_leads() {
    for locks in ["missing", "rejecting", "throwing"] {
        page().replace_locks(locks);
        let app = unique();
        let (mut first, mut second) = (Tab::visible(&app), Tab::hidden(&app));
        page().restore_locks();
        first.hears(true).await;
        second.hears(true).await;
        second.lead.presence(Presence::Away);
        second.hears(false).await;
    }
}

#[wasm_bindgen_test]
fn a_page_tells_when_it_is_seen_and_when_it_is_put_away() {
    page().set_visibility(Some("visible"));
    let host = WebHost::new();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&heard);
    let watch = host.on_presence(move |presence| kept.borrow_mut().push(presence));
    assert_eq!(host.presence(), Presence::Visible);
    page().set_visibility(Some("hidden"));
    assert_eq!(host.presence(), Presence::Hidden);
    page().fire_at_document("visibilitychange");
    page().fire_at_document("freeze");
    page().fire_at_document("resume");
    page().set_visibility(Some("visible"));
    page().fire_at_document("visibilitychange");
    page().fire_at_document("visibilitychange");
    page().turn_page("pagehide", false);
    page().set_visibility(Some("hidden"));
    page().fire_at_document("visibilitychange");
    page().set_visibility(Some("visible"));
    page().turn_page("pageshow", false);
    page().turn_page("pagehide", true);
    page().fire_at_document("freeze");
    page().turn_page("pageshow", true);
    drop(watch);
    page().turn_page("pagehide", false);
    page().set_visibility(None);
    use Presence::{Away, Cached, Hidden, Visible};
    assert_eq!(
        *heard.borrow(),
        [
            Hidden, Away, Hidden, Visible, Away, Visible, Cached, Visible
        ]
    );
}

fn unique() -> String {
    format!("test-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}
