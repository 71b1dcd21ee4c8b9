//! Which tabs have a user's data open.

use crate::support::auto_sync::wait;
use crate::support::running_tabs::{RunningTab, run_together};
use crate::support::world::{ONE_TRY, World};
use datum_sync::engine::auto_sync::Signal;
use datum_sync::engine::tabs::roll_call::TabInfo;

async fn list(tab: &RunningTab) -> Vec<TabInfo> {
    tab.tab.engine.tabs().list("ann").await.unwrap()
}

#[test]
fn each_tab_lists_all_that_answer_and_itself_first() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let other = RunningTab::new(world.device("laptop").open());
    let [a, b, c] = [(); 3].map(|()| RunningTab::new(phone.open()));
    run_together(&[&a, &b, &c, &other], async {
        a.tab.engine.auto_sync().signal(Signal::Leader(true));
        b.tab.engine.auto_sync().signal(Signal::Hidden);
        let from_a = list(&a).await;
        assert_eq!(from_a.len(), 3, "{from_a:?}");
        let flags = |tab: &TabInfo| (tab.is_this, tab.is_leader, tab.is_hidden, tab.is_syncing);
        assert_eq!(flags(&from_a[0]), (true, true, false, false));
        let hidden: Vec<_> = from_a.iter().filter(|tab| tab.is_hidden).collect();
        assert_eq!(hidden.len(), 1);
        let from_b = list(&b).await;
        assert_eq!((from_b.len(), &from_b[0].id), (3, &hidden[0].id));
        assert_eq!(from_b.iter().filter(|tab| tab.is_leader).count(), 1);
        c.frozen.set(true);
        assert_eq!(list(&a).await.len(), 2, "a frozen tab does not answer");
        c.frozen.set(false);
        b.tab.engine.close().await;
        assert_eq!(list(&a).await.len(), 2, "a closed one neither");
        assert_eq!(list(&other).await.len(), 1, "another device is no tab");
    });
}

#[test]
fn nobody_has_the_data_of_a_user_without_any_open() {
    let world = World::new();
    let a = world.device("phone").open();
    let tabs = a.run(a.engine.tabs().list("eve")).unwrap();
    assert!(tabs.is_empty());
}

#[test]
fn anything_that_another_page_posts_is_no_danger() {
    let world = World::new();
    let a = RunningTab::new(world.device("phone").open());
    run_together(&[&a], async {
        for message in [
            r#"{"here":7,"tab":9}"#,
            r#"{"here":{"leads":"x","openedAt":-1},"tab":"y"}"#,
            r#"{"who":1}"#,
        ] {
            a.tab.engine.tabs().on_message("ann", message).await;
        }
        for tab in 0..1_000 {
            let message = format!(r#"{{"tab":{tab},"here":{{}}}}"#);
            a.tab.engine.tabs().on_message("ann", &message).await;
        }
        wait(&a.tab, 1).await;
        assert_eq!(
            list(&a).await.len(),
            1,
            "what came before the question counts as no answer"
        );
    });
}
