//! Relations that are read along: what each leads to, and how little is read for it.

use datum_sync::engine::queries::relations::SelectedEntities;
use datum_sync::engine::queries::relations::selected::IdPage;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use serde_json::{Value, json};

use crate::relation_support::{config, delete, find, graph, ids, nested, opened, put, read, stock};
use crate::support::spaces::{CLUB, TEAM, team};
use crate::support::world::{Tab, World};

#[test]
fn each_kind_of_relation_leads_to_its_entities() {
    let (_world, tab) = opened(&[]);
    stock(&tab);
    put(
        &tab,
        "desks",
        &[
            json!({"id":"d2","personId":"ann"}),
            json!({"id":"d1","personId":"ann"}),
        ],
    );
    put(&tab, "tags", &[json!({"id":"red"}), json!({"id":"blue"})]);
    put(
        &tab,
        "taskTags",
        &[
            json!({"task":"t1","tag":"red"}),
            json!({"task":"t1","tag":"blue"}),
            // Twice, of nothing that is there, and no key at all.
            json!({"task":"t1","tag":"red"}),
            json!({"task":"t1","tag":"gone"}),
            json!({"task":"t1","tag":7}),
            json!({"task":"t2","tag":"red"}),
        ],
    );
    assert_eq!(
        find(
            &tab,
            "tasks",
            json!({"with":["project.owner","tags","subtasks"],"limit":2})
        ),
        [
            json!({"id":"t1","project":{"id":"p1","owner":{"id":"ann"}},"tags":[{"id":"blue"},{"id":"red"}],"subtasks":[{"id":"t2"}]}),
            json!({"id":"t2","project":{"id":"p1","owner":{"id":"ann"}},"tags":[{"id":"red"}],"subtasks":[]}),
        ]
    );
    // Of several, one is shown: the first in order of id.
    assert_eq!(
        read(&tab, "people", "ann", &["desk", "projects.tasks"]),
        json!({"id":"ann","desk":{"id":"d1"},"projects":[{"id":"p1","tasks":[{"id":"t1"},{"id":"t2"}]}]})
    );
    assert_eq!(
        read(&tab, "people", "ben", &["desk", "projects"]),
        json!({"id":"ben","desk":null,"projects":[]})
    );
    assert_eq!(
        read(&tab, "tags", "red", &["tasks"]),
        json!({"id":"red","tasks":[{"id":"t1"},{"id":"t2"}]})
    );
    assert_eq!(read(&tab, "tasks", "nothing", &["project"]), Value::Null);
}

#[test]
fn a_key_that_leads_nowhere_gives_null_or_nothing() {
    let (_world, tab) = opened(&[("projects", "none")]);
    stock(&tab);
    put(
        &tab,
        "tasks",
        &[
            json!({"id":"x1","projectId":"gone"}),
            json!({"id":"x2"}),
            json!({"id":"x3","projectId":7}),
            json!({"id":"x4","projectId":["p1"]}),
            json!({"id":"x5","projectId":""}),
            json!({"id":"x6","projectId":"\u{0}"}),
        ],
    );
    for id in ["t3", "x1", "x2", "x3", "x4", "x5", "x6"] {
        assert_eq!(
            read(&tab, "tasks", id, &["project"]),
            json!({"id":id,"project":null})
        );
    }
    assert_eq!(delete(&tab, "people", &["ann"]).unwrap(), ["ann"]);
    assert_eq!(
        read(&tab, "projects", "p1", &["owner"]),
        json!({"id":"p1","owner":null})
    );
    assert_eq!(
        read(&tab, "tasks", "t1", &["__proto__"]),
        json!({"id":"t1","__proto__":{"id":"ben"}})
    );
}

#[test]
fn what_is_no_relation_is_refused_with_what_there_is() {
    let world = World::new();
    let same = r#"{"entities":{"tasks":{"relations":{"project":{"belongsTo":"tasks","foreignKey":"project"}}},"notes":{}}}"#;
    let tab = world.device("phone").with_config(same).open();
    let refused = |entity: &str, with: &str| {
        let query = json!({ "with": [with] }).to_string();
        let error = graph(&tab, entity, &query).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
        error.message().to_owned()
    };
    assert!(refused("tasks", "owner").contains("the config has project"));
    assert!(refused("tasks", "constructor").contains("no relation `constructor`"));
    assert!(refused("tasks", "").contains("no relation ``"));
    assert!(refused("notes", "tasks").contains("the config has none"));
    assert!(refused("tasks", "project").contains("name of a field with a key"));
    let (_world, tab) = opened(&[]);
    let circle = |levels: usize| vec!["project.tasks"; levels].join(".");
    let long = graph(&tab, "tasks", &json!({ "with": [circle(5)] }).to_string());
    assert!(long.unwrap_err().message().contains("more than 8 levels"));
    stock(&tab);
    // A circle is as long as its path.
    let around = read(&tab, "tasks", "t2", &[&circle(1)]);
    assert_eq!(
        around,
        json!({"id":"t2","project":{"id":"p1","tasks":[{"id":"t1"},{"id":"t2"}]}})
    );
}

#[test]
fn a_relation_is_read_in_one_pass_however_many_entities_have_it() {
    let world = World::new();
    let author = world.device("phone").with_config(&config(&[])).open();
    let many =
        |count: usize, draft: &dyn Fn(usize) -> Value| (0..count).map(draft).collect::<Vec<_>>();
    put(
        &author,
        "people",
        &many(
            20,
            &|n| json!({"id":format!("a{n}"),"text":"x".repeat(5000)}),
        ),
    );
    put(
        &author,
        "projects",
        &many(
            200,
            &|n| json!({"id":format!("p{n}"),"ownerId":format!("a{}", n % 20),"text":"x".repeat(2000)}),
        ),
    );
    put(
        &author,
        "tasks",
        &many(
            2_000,
            &|n| json!({"id":format!("t{n:04}"),"projectId":format!("p{}", n % 200),"text":"x".repeat(300)}),
        ),
    );
    author.sync();
    let lean = config(&[]).replacen('{', r#"{"memoryBudget":0,"#, 1);
    let device = world.device("laptop").with_config(&lean);
    device.open().sync();
    let tab = device.open();
    let before = device.counts().reads;
    let found = find(&tab, "tasks", json!({"with":["project.owner"]}));
    assert_eq!(found.len(), 2_000);
    assert_eq!(found[1999]["project"]["owner"]["id"], "a19");
    let reads = device.counts().reads - before;
    assert!(
        reads <= 6,
        "{reads} reads for 2,000 tasks with 200 projects and 20 people"
    );
    let before = device.counts().reads;
    let found = find(&tab, "people", json!({"with":["projects.tasks"]}));
    assert_eq!(
        found[3]["projects"][2]["tasks"].as_array().unwrap().len(),
        10
    );
    let reads = device.counts().reads - before;
    assert!(
        reads <= 12,
        "{reads} reads for 20 people with 200 projects and 2,000 tasks"
    );
}

#[test]
fn a_key_means_an_entity_of_its_own_space_before_others() {
    let world = World::new();
    let tab = world.device("phone").with_config(&config(&[])).open();
    let _bob = team(&world);
    tab.sync();
    put(
        &tab,
        "projects",
        &[
            json!({"id":"p","name":"mine"}),
            json!({"id":"p","spaceId":TEAM}),
            json!({"id":"q"}),
        ],
    );
    put(
        &tab,
        "tasks",
        &[
            json!({"id":"mine","projectId":"p"}),
            json!({"id":"ours","projectId":"p","spaceId":TEAM}),
            json!({"id":"far","projectId":"q","spaceId":TEAM}),
        ],
    );
    let tasks = |selection: &str| {
        let found = graph(
            &tab,
            selection,
            r#"{"with":["tasks"],"orderBy":[{"field":"spaceId"}]}"#,
        )
        .unwrap();
        crate::relation_support::nested(&found)
    };
    assert_eq!(
        tasks("projects"),
        [
            json!({"id":"p","tasks":[{"id":"mine"}]}),
            json!({"id":"q","tasks":[{"id":"far"}]}),
            json!({"id":"p","tasks":[{"id":"ours"}]}),
        ]
    );
    assert_eq!(
        tasks(&format!("projects\0{TEAM}")),
        [json!({"id":"p","tasks":[{"id":"ours"}]})]
    );
}

#[test]
fn a_loaded_relation_is_never_stored() {
    let (world, tab) = opened(&[]);
    stock(&tab);
    let loaded = json!({"id":"t1","title":"new","projectId":"p1","project":{"id":"p1"},"tags":[],"parent":null});
    tab.write(
        "tasks",
        Write::Update {
            entity: loaded.to_string(),
        },
    )
    .unwrap();
    tab.patch("t2", r#"{"title":"two","project":{"id":"p1"}}"#);
    tab.create(r#"{"id":"t4","projectId":"p2","project":null,"subtasks":[{}]}"#);
    for id in ["t1", "t2", "t4"] {
        let stored = tab.read(id).unwrap();
        for name in ["project", "tags", "parent", "subtasks"] {
            assert!(stored.get(name).is_none(), "{stored}");
        }
        assert!(stored["projectId"].is_string(), "{stored}");
    }
    assert_eq!(tab.read("t1").unwrap()["title"], "new");
    // No read has made this.
    for write in [
        Write::Create {
            draft: r#"{"project":"p1"}"#.to_owned(),
        },
        Write::Patch {
            id: "t1".to_owned(),
            changes: r#"{"tags":"red"}"#.to_owned(),
        },
    ] {
        let error = tab.write("tasks", write).unwrap_err();
        assert_eq!(error.code(), Code::InvalidEntity);
        assert!(
            error.message().contains("is a relation of this type"),
            "{error:?}"
        );
    }
    // What has a relation's name already stays, for this app and for others.
    let old = world.device("laptop").open();
    old.create(r#"{"id":"old","project":"text","title":"a"}"#);
    old.sync();
    tab.sync();
    let read_before = tab.read("old").unwrap();
    tab.write(
        "tasks",
        Write::Update {
            entity: read_before.to_string().replace("\"a\"", "\"b\""),
        },
    )
    .unwrap();
    assert_eq!(tab.read("old").unwrap()["project"], "text");
    assert_eq!(tab.read("old").unwrap()["title"], "b");
    assert_eq!(ids(&tab, "tasks").len(), 5);
}

#[test]
fn parents_are_sent_first_whichever_side_names_the_relation() {
    let world = World::new();
    let one_sided = r#"{"entities":{"projects":{"relations":{"tasks":{"hasMany":"tasks","foreignKey":"projectId"}}},"tasks":{}}}"#;
    let tab = world.device("phone").with_config(one_sided).open();
    put(&tab, "tasks", &[json!({"id":"t","projectId":"p"})]);
    put(&tab, "projects", &[json!({"id":"p"})]);
    tab.sync();
    let rows = world.server.rows("ann");
    let version = |id: &str| rows.iter().find(|row| row.id == id).unwrap().version;
    assert!(version("p") < version("t"), "the project first");
}

#[test]
fn keys_follow_a_page_whose_bodies_are_not_in_memory() {
    let world = World::new();
    let author = world.device("phone").with_config(&config(&[])).open();
    stock(&author);
    author.sync();
    let lean = config(&[("tasks", "cascade")]).replacen('{', r#"{"memoryBudget":0,"#, 1);
    let device = world.device("laptop").with_config(&lean);
    let tab = device.open();
    tab.sync();
    let tasks = |tab: &crate::support::world::Tab| {
        let found = read(tab, "projects", "p2", &["tasks"]);
        found["tasks"].as_array().unwrap().len()
    };
    assert_eq!(tasks(&tab), 0);
    let long = |n: usize| json!({"id":format!("x{n:03}"),"projectId":"p2","text":"x".repeat(2000)});
    put(&author, "tasks", &(0..400).map(long).collect::<Vec<_>>());
    author.sync();
    tab.sync();
    let before = device.counts().reads;
    assert_eq!(tasks(&tab), 400);
    assert!(device.counts().reads > before, "they were fetched");
    put(&author, "tasks", &(400..800).map(long).collect::<Vec<_>>());
    author.sync();
    tab.sync();
    delete(&tab, "projects", &["p2"]).unwrap();
    assert_eq!(ids(&tab, "tasks"), ["t1", "t2", "t3"]);
}

/// All pages of a selection with `project`, each with the number of all entities.
fn pages(tab: &Tab, selection: &str, size: usize) -> Vec<(Vec<Value>, u64)> {
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let selected = SelectedEntities {
            selection: selection.to_owned(),
            page: Some(IdPage { size, after }),
            ..SelectedEntities::default()
        };
        let relations = tab.engine.relations();
        let with = ["project".to_owned()];
        let page = relations.selected_page(&tab.user, selected, &with);
        let (page, total) = tab.run(page).unwrap();
        pages.push((nested(&page.graph), total));
        after = page.after;
        if after.is_none() {
            return pages;
        }
    }
}

#[test]
fn pages_in_order_of_id_take_relations_along_from_any_space() {
    let world = World::new();
    let tab = world.device("phone").with_config(&config(&[])).open();
    let _bob = team(&world);
    tab.sync();
    put(&tab, "projects", &[json!({"id":"p"})]);
    let task = |n: usize| {
        let project = n.is_multiple_of(2).then_some("p");
        let space = n.is_multiple_of(3).then_some(TEAM);
        json!({"id":format!("t{n}"),"projectId":project,"spaceId":space})
    };
    put(&tab, "tasks", &(0..8).map(task).collect::<Vec<_>>());
    tab.delete("t4");
    let by_id = r#"{"with":["project"],"orderBy":[{"field":"id"}]}"#;
    for selection in ["tasks", "tasks\0", &format!("tasks\0{TEAM}")] {
        let all = nested(&graph(&tab, selection, by_id).unwrap());
        assert!(all.len() > 3, "{selection:?} has {}", all.len());
        for size in [1, 2, 3, all.len() - 1, all.len(), all.len() + 1] {
            let found = pages(&tab, selection, size);
            assert_eq!(found.len(), all.len().div_ceil(size), "pages of {size}");
            assert!(found.iter().all(|(_, total)| *total == all.len() as u64));
            let items: Vec<Value> = found.into_iter().flat_map(|(items, _)| items).collect();
            assert_eq!(items, all, "pages of {size}");
        }
    }
    assert_eq!(
        pages(&tab, &format!("tasks\0{CLUB}"), 5),
        [(Vec::new(), 0)],
        "one page without any"
    );
}
