//! Watches with relations: they hear of every entity that they show, and of no other.

use datum_sync::engine::queries::relations::SelectedEntities;
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::query_dice::Dice;
use crate::relation_support::{config, find, nested, opened, put, stock};
use crate::support::world::{Tab, World};

#[test]
fn a_watch_follows_the_entities_that_it_leads_to() {
    let (_world, tab) = opened(&[]);
    stock(&tab);
    let relations = tab.engine.relations();
    let query = r#"{"where":{"field":"projectId","equals":"p1"},"with":["project.owner","tags"]}"#;
    let watch = tab
        .run(relations.watch_query(&tab.user, "tasks", query, false))
        .unwrap();
    let shown = || {
        tab.run(watch.next())
            .unwrap()
            .map(|graph| graph.nodes[1].entities[0].text.clone())
    };
    assert!(shown().unwrap().contains("Ann"));
    // Nothing of this is shown.
    put(&tab, "tags", &[json!({"id":"red"})]);
    put(&tab, "people", &[json!({"id":"zoe"})]);
    tab.patch("t3", r#"{"title":"no"}"#);
    assert!(tab.run(async { watch.next().now_or_never() }).is_none());
    let write = |entity: &str, id: &str, changes: &str| {
        let write = datum_sync::plan::write::Write::Patch {
            id: id.to_owned(),
            changes: changes.to_owned(),
        };
        tab.write(entity, write).unwrap();
    };
    write("people", "ann", r#"{"name":"Anna"}"#);
    assert!(shown().unwrap().contains("Anna"));
    put(&tab, "taskTags", &[json!({"task":"t2","tag":"red"})]);
    let graph = tab.run(watch.next()).unwrap().unwrap();
    assert_eq!(nested(&graph)[1]["tags"], json!([{"id":"red"}]));
    watch.end();
    assert!(tab.run(watch.next()).unwrap().is_none());
}

/// What a read of all projects gives with their tasks and these tasks' subtasks and tags, and with their owners' desks,
/// found by looking at everything.
fn joined(tab: &Tab) -> Vec<Value> {
    let all = |entity: &str| -> Vec<Value> {
        let text = tab
            .run(tab.engine.entities().read_all(&tab.user, entity, false))
            .unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (people, desks, projects) = (all("people"), all("desks"), all("projects"));
    let (tasks, tags, joins) = (all("tasks"), all("tags"), all("taskTags"));
    let id = |it: &Value| json!({ "id": it["id"] });
    let of = |list: &[Value], field: &str, to: &Value| -> Vec<Value> {
        list.iter()
            .filter(|it| it[field] == to["id"])
            .cloned()
            .collect()
    };
    let task = |task: &Value| {
        let mine = of(&joins, "task", task);
        let has = |tag: &&Value| mine.iter().any(|join| join["tag"] == tag["id"]);
        let subtasks: Vec<Value> = of(&tasks, "parentId", task).iter().map(id).collect();
        let tags: Vec<Value> = tags.iter().filter(has).map(id).collect();
        json!({ "id": task["id"], "subtasks": subtasks, "tags": tags })
    };
    let owner = |project: &Value| {
        let owner = people
            .iter()
            .find(|person| person["id"] == project["ownerId"])?;
        let desk = of(&desks, "personId", owner).first().map(id);
        Some(json!({ "id": owner["id"], "desk": desk }))
    };
    let project = |it: &Value| {
        let tasks: Vec<Value> = of(&tasks, "projectId", it).iter().map(task).collect();
        json!({ "id": it["id"], "tasks": tasks, "owner": owner(it) })
    };
    projects.iter().map(project).collect()
}

#[test]
fn after_random_commits_reads_and_watches_show_what_is_there() {
    let mut dice = Dice(5);
    for round in 0..3 {
        let world = World::new();
        let mut text = config(&[("tasks", "cascade"), ("subtasks", "setNull")]);
        if round == 2 {
            text = text.replacen('{', r#"{"memoryBudget":0,"#, 1);
        }
        let device = world.device("phone").with_config(&text);
        let (tab, other) = (device.open(), device.open());
        let laptop = world.device("laptop").with_config(&text).open();
        stock(&tab);
        tab.sync();
        let with = ["tasks.subtasks", "tasks.tags", "owner.desk"];
        let selected = SelectedEntities {
            selection: "projects".to_owned(),
            only: None,
            page: None,
            include: false.into(),
        };
        let paths: Vec<String> = with.iter().map(|path| (*path).to_owned()).collect();
        let watch = tab
            .run(tab.engine.relations().watch(&tab.user, selected, &paths))
            .unwrap();
        let mut shown = nested(&tab.run(watch.next()).unwrap().unwrap());
        for step in 0..60 {
            let writer = [&tab, &other, &laptop][dice.roll(3)];
            let id =
                |dice: &mut Dice, kind: &str, most: usize| format!("{kind}{}", 1 + dice.roll(most));
            let owner = ["ann", "ben", "gone"][dice.roll(3)];
            let (entity, draft) = match dice.roll(4) {
                0 => (
                    "projects",
                    json!({"id":id(&mut dice, "p", 4),"ownerId":owner}),
                ),
                1 => (
                    "taskTags",
                    json!({"id":id(&mut dice, "j", 6),"task":id(&mut dice, "t", 8),"tag":id(&mut dice, "g", 3)}),
                ),
                2 => ("tags", json!({"id":id(&mut dice, "g", 3)})),
                _ => (
                    "tasks",
                    json!({"id":id(&mut dice, "t", 8),"projectId":id(&mut dice, "p", 4),"parentId":id(&mut dice, "t", 8)}),
                ),
            };
            let name = draft["id"].as_str().unwrap().to_owned();
            let is_there = writer.read_in(entity, &name, false).is_some();
            if !is_there {
                put(writer, entity, &[draft]);
            } else if dice.roll(3) == 0 {
                crate::relation_support::delete(writer, entity, &[&name]).unwrap();
            } else {
                let mut changes = draft;
                changes.as_object_mut().unwrap().remove("id");
                let write = datum_sync::plan::write::Write::Patch {
                    id: name,
                    changes: changes.to_string(),
                };
                writer.write(entity, write).unwrap();
            }
            if dice.roll(6) == 0 {
                laptop.sync();
                tab.sync();
            }
            tab.run(tab.engine.on_head("ann", u64::MAX)).unwrap();
            let joined = joined(&tab);
            assert_eq!(find(&tab, "projects", json!({ "with": with })), joined);
            // Only if something else is shown, there is an update to wait for.
            if shown != joined {
                shown = nested(&tab.run(watch.next()).unwrap().unwrap());
            }
            assert_eq!(shown, joined, "round {round}, step {step}");
        }
    }
}
