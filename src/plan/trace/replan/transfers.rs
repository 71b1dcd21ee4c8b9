//! Imports and adoptions.

use crate::log::commit::Commit;
use crate::log::facts::AdoptedFrom;
use crate::log::known_server::KnownServer;
use crate::model::error::Result;
use crate::model::space::{Joined, Role};
use crate::plan::adoption::{Account, Adopter};
use crate::plan::import::{Existing, ImportPlanner};
use crate::plan::trace::replan::{Replanned, context, run};
use crate::plan::trace::{Described, handed_over};
use crate::state::replica::Replica;
use crate::transfer::fields::LineFields;
use crate::transfer::file::FileHeader;

pub(super) fn import(
    input: &LineFields<'_>,
    given: &Described,
    replica: &Replica,
) -> Result<Replanned> {
    let mut file = handed_over::file_of(data(input, given)?);
    file.header = header(&input.within("header")?)?;
    let mut planner = ImportPlanner {
        file: &file,
        existing: input.choice("existing", &Existing::NAMES)?,
        as_new: input.flag("asNew")?,
        dry_run: input.flag("dryRun")?,
        context: context(input)?,
    };
    Ok(run(&mut planner, replica))
}

pub(super) fn adoption(
    input: &LineFields<'_>,
    given: &Described,
    replica: &Replica,
) -> Result<Replanned> {
    let source = AdoptedFrom {
        user_id: input.needed("userId")?,
        head: input.number("from")?.unwrap_or_default(),
    };
    let account = Account::of(source, data(input, given)?);
    let mut planner = Adopter {
        account: &account,
        context: context(input)?,
    };
    Ok(run(&mut planner, replica))
}

fn data(input: &LineFields<'_>, given: &Described) -> Result<Commit> {
    let data = given.data.as_ref().and_then(handed_over::decoded);
    data.ok_or_else(|| input.wrong("data", "is missing or cannot be read."))
}

fn header(line: &LineFields<'_>) -> Result<FileHeader> {
    let server = line.within("server")?;
    let mut spaces = Vec::new();
    for joined in line.objects("spaces")? {
        spaces.push(Joined {
            space: joined.needed("space")?,
            role: Role::read(&joined.needed("role")?),
        });
    }
    Ok(FileHeader {
        user_id: line.needed("userId")?,
        server: KnownServer {
            id: server.text("id")?,
            address: server.text("address")?,
        },
        epoch: line.text("epoch")?,
        spaces,
        ..FileHeader::default()
    })
}
