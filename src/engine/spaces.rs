//! Shared spaces: those of a user with their names and roles, and their members. Spaces and members
//! are entities of the reserved types, so all of this works offline.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::database::read::Include;
use crate::engine::{Backing, SharedSpaces, User};
use crate::log::address::Seq;
use crate::model::entity::{Fields, Key, check_id, check_space_id};
use crate::model::error::{Code, Error, Result};
use crate::model::space::{Joined, MEMBER, Role, SPACE};
use crate::model::table::{Table, tables};
use crate::plan::membership::{awaits_creation, is_given_up};
use crate::plan::write::{Write, Written};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::collections::sort::sort;
use crate::util::json::scan;
use crate::util::json::write::{Items, push_field, put_text};
use crate::util::local_sync::Notify;
use crate::util::uuid::uuid_v7;

/// The longest name of a space, and the longest id of a member, in bytes.
const MAX_NAME_BYTES: usize = 512;
const MAX_MEMBER_BYTES: usize = 475;

impl<B: Backing, R: Remote, H: Host + 'static> SharedSpaces<'_, B, R, H> {
    /// Returns the user's spaces as the text of a JSON array, in the order of joining: `spaceId`,
    /// `role`, and `name` as far as it has come.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn list(self, user_id: &str) -> Result<String> {
        let user = self.engine.user_for_question(user_id).await?;
        list(&user).await
    }

    /// Watches the user's spaces.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn watch(self, user_id: &str) -> Result<SpaceWatch<B::Store, H>> {
        Ok(SpaceWatch {
            user: self.engine.user(user_id).await?,
            last: RefCell::default(),
            seen: Cell::default(),
            ended: Cell::default(),
            end: Notify::default(),
        })
    }

    /// Makes a space, and returns its id. The user is its owner.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for a bad name; also with errors of the storage.
    pub async fn create(self, user_id: &str, name: &str) -> Result<String> {
        check_space_name(name)?;
        let mut random = [0; 10];
        self.engine.host.random(&mut random);
        let id = uuid_v7(self.engine.host.now_ms(), random);
        let mut draft = String::from("{");
        put_text(&mut draft, "id", &id);
        put_text(&mut draft, "name", name);
        draft.push('}');
        let write = Write::Create { draft };
        self.write(user_id, SPACE, &id, write).await?;
        Ok(id)
    }

    /// Gives a space another name.
    ///
    /// # Errors
    /// As for [`Self::create`]; [`Code::NotFound`] if there is no such space, [`Code::NotOwner`].
    pub async fn rename(self, user_id: &str, id: &str, name: &str) -> Result<()> {
        check_space_name(name)?;
        let mut changes = String::from("{");
        put_text(&mut changes, "name", name);
        changes.push('}');
        let write = Write::Patch {
            id: id.to_owned(),
            changes,
        };
        self.write(user_id, SPACE, id, write).await.map(drop)
    }

    /// Ends a space, with all its rows; false if there is none.
    ///
    /// # Errors
    /// Fails with [`Code::NotOwner`]; also with errors of the storage.
    pub async fn delete(self, user_id: &str, id: &str) -> Result<bool> {
        self.gone(user_id, SPACE, id, id).await
    }

    /// Returns the members of a space as the text of a JSON array: `userId` and `role`, in order of
    /// user.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn members(self, user_id: &str, id: &str) -> Result<String> {
        check_space_id(id)?;
        let user = self.engine.user_for_question(user_id).await?;
        let table = Table::name(MEMBER, Some(id));
        let mut members: Vec<(String, String)> = Vec::new();
        let mut add = |text: &str| {
            let fields = Fields::parse(text).unwrap_or_default();
            let of = |name| fields.get(name).and_then(scan::text);
            if let (Some(key), Some(role)) = (of("id"), of("role"))
                && let Some(member) = key.strip_prefix(id).and_then(|key| key.strip_prefix('/'))
            {
                members.push((member.to_owned(), role.into_owned()));
            }
        };
        user.db
            .read_selected(&table, None, Include::default(), &mut add)
            .await?;
        // The server makes its maker a member, and tells it in the next pull.
        let own = own_role(&user, id);
        if let Some(role) = own
            && !members.iter().any(|(member, _)| member == user_id)
        {
            members.push((user_id.to_owned(), role.name().to_owned()));
            sort(&mut members);
        }
        let mut items = Items::new(members.len().saturating_mul(64));
        for (member, role) in &members {
            let out = items.open();
            out.push('{');
            put_text(out, "userId", member);
            put_text(out, "role", role);
            out.push('}');
        }
        Ok(items.close())
    }

    /// Gives a user a role in a space; a user who is no member becomes one.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`], [`Code::NotOwner`]; also with errors of the storage.
    pub async fn set_role(self, user_id: &str, id: &str, member: &str, role: Role) -> Result<()> {
        check_member(member)?;
        let key = [id, "/", member].concat();
        let table = Table::name(MEMBER, Some(id)).into_owned();
        let user = self.engine.user(user_id).await?;
        let is_member = (user.db).read(|replica| replica.is_visible(&Key::new(&table, &key)));
        let mut text = String::from("{");
        put_text(&mut text, "role", role.name());
        let write = if is_member {
            text.push('}');
            Write::Patch {
                id: key,
                changes: text,
            }
        } else {
            put_text(&mut text, "id", &key);
            text.push('}');
            Write::Create { draft: text }
        };
        self.write(user_id, MEMBER, id, write).await.map(drop)
    }

    /// Removes a member; false if the user is none, as far as is known here.
    ///
    /// # Errors
    /// Fails with [`Code::NotOwner`], and with [`Code::NotFound`] if it is the user, whose own
    /// membership has not been pulled yet; also with errors of the storage.
    pub async fn remove(self, user_id: &str, id: &str, member: &str) -> Result<bool> {
        check_member(member)?;
        let key = [id, "/", member].concat();
        let was = self.gone(user_id, MEMBER, id, &key).await?;
        let user = self.engine.user(user_id).await?;
        if !was && member == user_id && own_role(&user, id).is_some() {
            return Err(Error::new(
                Code::NotFound,
                "This device has not pulled the members of the space yet: synchronize, then leave it.",
            ));
        }
        Ok(was)
    }

    /// Leaves a space; false if the user is no member, as far as is known here.
    ///
    /// # Errors
    /// As for [`Self::remove`].
    pub async fn leave(self, user_id: &str, id: &str) -> Result<bool> {
        self.remove(user_id, id, user_id).await
    }

    async fn gone(self, user_id: &str, entity: &str, space: &str, id: &str) -> Result<bool> {
        let write = Write::Delete {
            id: id.to_owned(),
            soft: false,
        };
        let written = self.write(user_id, entity, space, write).await?;
        Ok(matches!(written, Written::Deleted(_)))
    }

    async fn write(
        self,
        user_id: &str,
        entity: &str,
        space: &str,
        write: Write,
    ) -> Result<Written> {
        check_space_id(space)?;
        let table = Table::name(entity, Some(space));
        let entities = self.engine.entities();
        let written = entities.write(user_id, &table, vec![write]).await?;
        Ok(written.into_iter().next().unwrap_or(Written::Absent))
    }
}

/// A watch of a user's spaces.
#[derive(Debug)]
pub struct SpaceWatch<S, H> {
    user: Rc<User<S, H>>,
    last: RefCell<Option<String>>,
    /// What was read last: the loss of the log, and the record that had changed the spaces.
    seen: Cell<Option<(u64, Seq)>>,
    ended: Cell<bool>,
    end: Notify,
}

impl<S: Store, H: Host> SpaceWatch<S, H> {
    /// Returns the list, as [`SharedSpaces::list`] does, and again after each change; `None` once
    /// the watch has ended.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn next(&self) -> Result<Option<String>> {
        loop {
            let ended = self.end.notified();
            if self.ended.get() {
                return Ok(None);
            }
            let now = self.user.db.peek(changed_at);
            if self.seen.get() != Some(now) {
                // A change during the reading counts as one after it.
                let text = list(&self.user).await?;
                self.seen.set(Some(now));
                if self.last.borrow().as_ref() != Some(&text) {
                    self.last.replace(Some(text.clone()));
                    return Ok(Some(text));
                }
            }
            let mut moved = |replica: &Replica| (changed_at(replica) != now).then_some(());
            let moved = std::pin::pin!(self.user.db.until(&mut moved));
            match futures_util::future::select(moved, std::pin::pin!(ended)).await {
                futures_util::future::Either::Left((Err(error), _)) => {
                    return match error.code() {
                        Code::Closed => Ok(None),
                        _ => Err(error),
                    };
                }
                _ => continue,
            }
        }
    }

    /// Ends the watch: a pending `next` returns `None`.
    pub fn end(&self) {
        self.ended.set(true);
        self.end.notify_waiters();
    }
}

fn changed_at(replica: &Replica) -> (u64, Seq) {
    (replica.place().lost, replica.spaces().changed_at())
}

/// The spaces of a user, as JSON.
async fn list<S: Store, H: Host>(user: &User<S, H>) -> Result<String> {
    let spaces = user.db.read(spaces_of);
    let mut items = Items::new(spaces.len().saturating_mul(120));
    for joined in &spaces {
        let (table, id) = (Table::name(SPACE, Some(&joined.space)), &joined.space);
        let mut row = None;
        let mut keep = |text: &str| row = Some(text.to_owned());
        let only = Some(std::slice::from_ref(id));
        user.db
            .read_selected(&table, only, Include::default(), &mut keep)
            .await?;
        let fields = row.as_deref().map(Fields::parse).transpose()?;
        let out = items.open();
        out.push('{');
        put_text(out, "spaceId", id);
        put_text(out, "role", joined.role.name());
        if let Some(name) = fields.as_ref().and_then(|fields| fields.get("name")) {
            push_field(out, "name", name);
        }
        out.push('}');
    }
    Ok(items.close())
}

/// The spaces of the list, and those that wait to be made; without those that the user ends or
/// leaves.
fn spaces_of(replica: &Replica) -> Vec<Joined> {
    let mut all = replica.spaces().list().to_vec();
    for (table, _) in tables(replica.outbox().index(), SPACE) {
        let Some(space) = Table(table).space() else {
            continue;
        };
        if awaits_creation(replica, space) && replica.spaces().role(space).is_none() {
            all.push(Joined {
                space: space.to_owned(),
                role: Role::Owner,
            });
        }
    }
    all.retain(|joined| !is_given_up(replica, &joined.space));
    all
}

/// The user's own role in a space; `None` if the user is no member, as far as is known here.
fn own_role<S: Store, H: Host>(user: &User<S, H>, space: &str) -> Option<Role> {
    let spaces = user.db.read(spaces_of);
    let own = spaces.iter().find(|joined| &*joined.space == space);
    own.map(|joined| joined.role)
}

fn check_space_name(name: &str) -> Result<()> {
    let fits =
        !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
    match fits {
        true => Ok(()),
        false => Err(Error::new(
            Code::InvalidArgument,
            "`name` of a space must be 1 to 512 bytes of text without control characters.",
        )),
    }
}

fn check_member(member: &str) -> Result<()> {
    check_id(member)
        .map_err(|e| Error::new(Code::InvalidArgument, format!("`userId`: {}", e.message())))?;
    match member.len() <= MAX_MEMBER_BYTES {
        true => Ok(()),
        false => Err(Error::new(
            Code::InvalidArgument,
            "`userId` of a member must not be longer than 475 bytes.",
        )),
    }
}
