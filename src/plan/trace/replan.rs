//! Makes a planner again from what was written down of it, and has it plan.

use std::rc::Rc;

use crate::conflict::{Decision, Resolution};
use crate::log::address::BodyId;
use crate::log::commit::Commit;
use crate::log::known_server::{KnownServer, ServerNews};
use crate::model::config::Config;
use crate::model::entity::OwnedKey;
use crate::model::error::{Error, Result};
use crate::model::protocol::{parse_page, parse_push_reply};
use crate::model::space::is_reserved;
use crate::plan::adoption::AccountReader;
use crate::plan::checkpoint::CheckpointPlanner;
use crate::plan::context::PlanContext;
use crate::plan::decision::DecisionPlanner;
use crate::plan::local_only::LocalOnlyPlanner;
use crate::plan::move_server::MovePlanner;
use crate::plan::page::{PagePlanner, PageRules};
use crate::plan::rejection::{RejectionPlanner, Rejects, Rules};
use crate::plan::restore::EpochPlanner;
use crate::plan::retry::RetryPlanner;
use crate::plan::row_planner::Decisions;
use crate::plan::trace::Described;
use crate::plan::verdicts::VerdictPlanner;
use crate::plan::write::WritePlanner;
use crate::plan::write::all_or_none::AllOrNone;
use crate::plan::write::groups::{Group, Write};
use crate::plan::{Plan, Planner};
use crate::state::replica::{LogPlace, Replica};
use crate::transfer::fields::LineFields;

mod deletes;
mod schemas;
mod transfers;

/// What a planner has planned.
#[derive(Debug)]
pub enum Replanned {
    /// A commit; an empty one appends nothing.
    Commit(Commit),
    Failed(Error),
    /// It needs bodies that the trace does not have.
    Lacks(Vec<BodyId>),
}

/// Has the planner of a step plan on a state.
///
/// # Errors
/// Fails with [`crate::model::error::Code::InvalidArgument`], naming the line, for an input that no
/// planner was ever given.
pub fn replan(
    given: &Described,
    (config, line): (&Config, u64),
    replica: &Replica,
) -> Result<Replanned> {
    let input = LineFields::parse(&given.input, line)?;
    let context = || context(&input);
    Ok(match &*given.name {
        "write" => {
            let groups = groups(&input, config)?;
            let context = context()?;
            run(
                &mut WritePlanner {
                    groups: &groups,
                    context,
                },
                replica,
            )
        }
        "allOrNone" => {
            let groups = groups(&input, config)?;
            let context = context()?;
            run(
                &mut AllOrNone {
                    groups: &groups,
                    context,
                },
                replica,
            )
        }
        "delete" => deletes::delete(&input, config, replica)?,
        "import" => transfers::import(&input, given, replica)?,
        "account" => run(
            &mut AccountReader {
                context: context()?,
            },
            replica,
        ),
        "adoption" => transfers::adoption(&input, given, replica)?,
        "migration" => schemas::migration(&input, config, replica)?,
        "schema" => Replanned::Commit(schemas::stated(config)),
        "page" => page(&input, config, replica)?,
        "verdicts" => verdicts(&input, given, config, replica)?,
        "decision" => {
            let decision = match input.raw("decision") {
                Some(_) => Some(decision(&input.within("decision")?)?),
                None => None,
            };
            let mut decide = |_: &_| decision.clone();
            let id = input.needed("conflict")?;
            run(
                &mut DecisionPlanner {
                    id: &id,
                    decide: &mut decide,
                    context: context()?,
                    made: None,
                },
                replica,
            )
        }
        "rejection" => {
            let (code, message) = (input.needed("code")?, input.needed("message")?);
            let discarded = input.text("discarded")?;
            let what = match (&discarded, given.ops.first()) {
                (Some(op_id), _) => Rejects::Discarded(op_id),
                (None, Some(op)) => Rejects::One(op),
                (None, None) => Rejects::Shared,
            };
            run(
                &mut RejectionPlanner {
                    what,
                    code: &code,
                    message: &message,
                    rules: &Rules {
                        soft: &|entity| config.is_soft(entity),
                        keeps: &|entity| config.keeps(entity),
                        policies: &|entity| config.policies(entity),
                    },
                    now: input.number("now")?.unwrap_or_default(),
                },
                replica,
            )
        }
        "epoch" => epoch(&input, replica)?,
        "retry" => {
            let (id, edited) = (input.needed("id")?, input.body("data")?);
            run(
                &mut RetryPlanner {
                    id: &id,
                    edited: edited.as_deref(),
                    group: &|entity, write| Group::of(config, entity, vec![write]),
                    context: context()?,
                },
                replica,
            )
        }
        "localOnly" => {
            let local_only = &|entity: &str| config.local_only(entity);
            run(&mut LocalOnlyPlanner { local_only }, replica)
        }
        "moveServer" => run(
            &mut MovePlanner {
                context: context()?,
            },
            replica,
        ),
        "checkpoint" => run(&mut CheckpointPlanner::default(), replica),
        other => {
            return Err(input.wrong(
                "planner",
                &[
                    "is not known here: `",
                    other,
                    "`; replay it with the version that wrote it.",
                ]
                .concat(),
            ));
        }
    })
}

fn run<P: Planner>(planner: &mut P, replica: &Replica) -> Replanned {
    match planner.plan(replica) {
        Ok(Plan::Ready(planned)) => Replanned::Commit(planned.commit),
        Ok(Plan::Needs(bodies)) => Replanned::Lacks(bodies),
        Err(error) => Replanned::Failed(error),
    }
}

fn context(input: &LineFields<'_>) -> Result<PlanContext> {
    let mut seed = [0; 10];
    let given = crate::util::json::scan::array(input.raw("seed").unwrap_or("[]"));
    for (to, byte) in seed.iter_mut().zip(given.unwrap_or_default()) {
        *to = byte
            .parse()
            .map_err(|_| input.wrong("seed", "must have bytes."))?;
    }
    Ok(PlanContext {
        now: input.number("now")?.unwrap_or_default(),
        seed,
    })
}

fn groups(input: &LineFields<'_>, config: &Config) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for group in input.objects("groups")? {
        let mut writes = Vec::new();
        for one in group.objects("writes")? {
            writes.push(write(&one)?);
        }
        groups.push(Group {
            after: keys(&group, "after")?.into(),
            ignore_kept_rejection: group.flag("ignoresKept")?,
            ..Group::of(config, &group.needed("table")?, writes)
        });
    }
    Ok(groups)
}

fn keys(line: &LineFields<'_>, name: &str) -> Result<Vec<OwnedKey>> {
    let mut keys = Vec::new();
    for key in line.objects(name)? {
        keys.push(OwnedKey {
            entity: key.needed("table")?,
            id: key.needed("id")?,
        });
    }
    Ok(keys)
}

fn write(line: &LineFields<'_>) -> Result<Write> {
    // What was no object is refused again.
    let data = || {
        Ok(line
            .body("data")?
            .map_or_else(String::new, |data| data.to_string()))
    };
    let id = || line.needed("id");
    Ok(match &*line.needed("kind")? {
        "create" => Write::Create { draft: data()? },
        "update" => Write::Update { entity: data()? },
        "patch" => Write::Patch {
            id: id()?,
            changes: data()?,
        },
        "patchAndRemove" => Write::PatchAndRemove {
            id: id()?,
            changes: data()?,
            removed: line.texts("removed")?,
        },
        "move" => Write::Move {
            id: id()?,
            to: line.text("to")?,
        },
        "delete" => Write::Delete {
            id: id()?,
            soft: line.flag("soft")?,
        },
        _ => return Err(line.wrong("kind", "is no kind of write.")),
    })
}

fn decision(line: &LineFields<'_>) -> Result<Decision> {
    let merged = || {
        let body = line.body("data")?;
        body.map(Resolution::Merged)
            .ok_or_else(|| line.wrong("data", "is missing."))
    };
    let resolution = match &*line.needed("take")? {
        "local" => Resolution::Local,
        "remote" => Resolution::Remote,
        "merged" => merged()?,
        _ => Resolution::Later,
    };
    Ok(Decision {
        resolution,
        explanation: Rc::from(if line.flag("explained")? { "{}" } else { "" }),
        failed: line.flag("failed")?,
    })
}

fn decisions(input: &LineFields<'_>) -> Result<Decisions> {
    let mut decisions = Decisions::default();
    for one in input.objects("decisions")? {
        decisions
            .made
            .insert(&one.needed("conflict")?, decision(&one)?);
    }
    for name in input.texts("absent")? {
        decisions.confirmed_absent.insert(&name, ());
    }
    Ok(decisions)
}

fn server(input: &LineFields<'_>) -> Result<Option<ServerNews>> {
    let side = |name: &str| {
        let side = input.within(name)?;
        Ok(KnownServer {
            id: side.text("id")?,
            address: side.text("address")?,
        })
    };
    Ok(match input.raw("serverNow") {
        Some(_) => Some(ServerNews {
            before: side("serverBefore")?,
            now: side("serverNow")?,
        }),
        None => None,
    })
}

fn page(input: &LineFields<'_>, config: &Config, replica: &Replica) -> Result<Replanned> {
    let bytes = input.raw("page").unwrap_or_default().as_bytes();
    let page = parse_page(bytes)
        .map_err(|cause| input.wrong("page", "cannot be read.").caused_by(cause))?;
    let (from, before) = (input.text("from")?, input.text("before")?);
    let (scope, entities) = (
        input.text("scope")?.unwrap_or_default(),
        input.texts("entities")?,
    );
    let mut planner = PagePlanner {
        page: &page,
        rules: PageRules {
            server: server(input)?,
            from: from.as_deref(),
            before: before.as_deref(),
            asked: input.number("asked")?.unwrap_or_default(),
            since: LogPlace {
                lost: input.number("sinceLost")?.unwrap_or_default(),
                head: input.number("sinceHead")?.unwrap_or_default(),
            },
            scope: &scope,
            whole: input.flag("whole")?,
            entities: input.raw("entities").is_some().then_some(&*entities),
            include_deletes: input.flag("includeDeletes")?,
            known: &|entity| is_reserved(entity) || entities.iter().any(|name| name == entity),
            soft: &|entity| config.is_soft(entity),
            policies: &|entity| config.policies(entity),
        },
        decisions: decisions(input)?,
        context: context(input)?,
    };
    Ok(run(&mut planner, replica))
}

fn verdicts(
    input: &LineFields<'_>,
    given: &Described,
    config: &Config,
    replica: &Replica,
) -> Result<Replanned> {
    let ids: Vec<&str> = given.ops.iter().map(|op| &*op.op_id).collect();
    let bytes = input.raw("reply").unwrap_or_default().as_bytes();
    let reply = parse_push_reply(bytes, &ids)
        .map_err(|cause| input.wrong("reply", "cannot be read.").caused_by(cause))?;
    let mut planner = VerdictPlanner {
        sent: &given.ops,
        reply: &reply,
        rules: &Rules {
            soft: &|entity| config.is_soft(entity),
            keeps: &|entity| config.keeps(entity),
            policies: &|entity| config.policies(entity),
        },
        decisions: decisions(input)?,
        context: context(input)?,
    };
    Ok(run(&mut planner, replica))
}

fn epoch(input: &LineFields<'_>, replica: &Replica) -> Result<Replanned> {
    let mut kept_in = Vec::new();
    let all = input.objects("keptIn")?;
    for one in &all {
        kept_in.push((
            one.needed("space")?,
            one.number("kept")?.unwrap_or_default(),
        ));
    }
    let mut planner = EpochPlanner {
        left: &input.needed("left")?,
        epoch: &input.needed("epoch")?,
        kept: input.number("kept")?,
        kept_in: kept_in
            .iter()
            .map(|(space, kept)| (&**space, *kept))
            .collect(),
        now: input.number("now")?.unwrap_or_default(),
    };
    Ok(run(&mut planner, replica))
}
