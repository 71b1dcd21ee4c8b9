//! The spaces that several users share: the class `Spaces` of the package.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::engine::spaces::SpaceWatch;
use crate::js::arguments::read_string;
use crate::js::convert::{decode, promise};
use crate::js::feed::{Feed, LoopReader, Next};
use crate::js::instance::Instance;
use crate::js::manager::options::read_user_option;
use crate::js::waiting;
use crate::model::error::{Code, Error, Result};
use crate::model::space::Role;
use crate::util::cell::RefCell;
use crate::web::host::WebHost;
use crate::web::storage::web_store::WebStore;

/// The spaces of a user, and their members.
#[wasm_bindgen]
pub struct SpaceManager {
    instance: Rc<Instance>,
}

impl SpaceManager {
    pub(crate) const fn new(instance: Rc<Instance>) -> Self {
        Self { instance }
    }

    /// The instance, and the user of a call.
    fn handles(&self, options: &JsValue) -> (Rc<Instance>, Result<String>) {
        let user =
            read_user_option(options).and_then(|named| self.instance.engine.user_or_current(named));
        (Rc::clone(&self.instance), user)
    }
}

/// Tells observers of the outbox after a write.
fn wrote(instance: &Rc<Instance>, user: &str) {
    instance.compact_later(user);
    waiting::watch(instance, user);
}

#[wasm_bindgen]
impl SpaceManager {
    /// The user's spaces.
    pub fn list(&self, options: &JsValue) -> Promise {
        let (instance, user) = self.handles(options);
        promise(async move { decode(&instance.engine.spaces().list(&user?).await?) })
    }

    /// The user's spaces, now and after each change.
    pub fn watch(&self, options: &JsValue) -> Feed {
        let (instance, user) = self.handles(options);
        Feed::new(move || {
            Rc::new(SpaceReader {
                instance: Rc::clone(&instance),
                user: user.clone(),
                state: RefCell::default(),
            })
        })
    }

    /// Makes a space; returns its id.
    pub fn create(&self, name: &JsValue, options: &JsValue) -> Promise {
        let (instance, user) = self.handles(options);
        let name = read_string(name, "`name`");
        promise(async move {
            let user = user?;
            let id = instance.engine.spaces().create(&user, &name?).await?;
            wrote(&instance, &user);
            Ok(JsValue::from_str(&id))
        })
    }

    /// Gives a space another name.
    pub fn rename(&self, id: &JsValue, name: &JsValue, options: &JsValue) -> Promise {
        let (instance, user) = self.handles(options);
        let (id, name) = (read_string(id, "`spaceId`"), read_string(name, "`name`"));
        promise(async move {
            let user = user?;
            let spaces = instance.engine.spaces();
            spaces.rename(&user, &id?, &name?).await?;
            wrote(&instance, &user);
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Ends a space.
    pub fn delete(&self, id: &JsValue, options: &JsValue) -> Promise {
        let ((instance, user), id) = (self.handles(options), read_string(id, "`spaceId`"));
        promise(async move {
            let user = user?;
            let was = instance.engine.spaces().delete(&user, &id?).await?;
            wrote(&instance, &user);
            Ok(JsValue::from_bool(was))
        })
    }

    /// The members of a space.
    pub fn members(&self, id: &JsValue, options: &JsValue) -> Promise {
        let ((instance, user), id) = (self.handles(options), read_string(id, "`spaceId`"));
        promise(async move {
            let spaces = instance.engine.spaces();
            decode(&spaces.members(&user?, &id?).await?)
        })
    }

    /// Gives a user a role in a space.
    #[wasm_bindgen(js_name = setRole)]
    pub fn set_role(
        &self,
        id: &JsValue,
        member: &JsValue,
        role: &JsValue,
        options: &JsValue,
    ) -> Promise {
        let (instance, user) = self.handles(options);
        let (id, member) = (
            read_string(id, "`spaceId`"),
            read_string(member, "`userId`"),
        );
        let role = read_role(role);
        promise(async move {
            let user = user?;
            let spaces = instance.engine.spaces();
            spaces.set_role(&user, &id?, &member?, role?).await?;
            wrote(&instance, &user);
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Removes a member.
    pub fn remove(&self, id: &JsValue, member: &JsValue, options: &JsValue) -> Promise {
        self.removed(id, Some(read_string(member, "`userId`")), options)
    }

    /// Leaves a space.
    pub fn leave(&self, id: &JsValue, options: &JsValue) -> Promise {
        self.removed(id, None, options)
    }
}

impl SpaceManager {
    /// Removes a member, or the user.
    fn removed(&self, id: &JsValue, member: Option<Result<String>>, options: &JsValue) -> Promise {
        let ((instance, user), id) = (self.handles(options), read_string(id, "`spaceId`"));
        promise(async move {
            let user = user?;
            let member = member.unwrap_or_else(|| Ok(user.clone()))?;
            let spaces = instance.engine.spaces();
            let was = spaces.remove(&user, &id?, &member).await?;
            wrote(&instance, &user);
            Ok(JsValue::from_bool(was))
        })
    }
}

fn read_role(value: &JsValue) -> Result<Role> {
    let name = value.as_string().unwrap_or_default();
    let known = Role::NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, role)| *role).ok_or_else(|| {
        Error::new(
            Code::InvalidArgument,
            "`role` must be \"reader\", \"writer\" or \"owner\".",
        )
    })
}

/// The watch of one loop, and whether the loop was left.
type Reading = (Option<Rc<SpaceWatch<WebStore, WebHost>>>, bool);

/// The state of one loop.
struct SpaceReader {
    instance: Rc<Instance>,
    user: Result<String>,
    state: RefCell<Reading>,
}

impl SpaceReader {
    async fn next(&self) -> Result<Option<JsValue>> {
        let known = self.state.borrow().0.clone();
        let watch = match known {
            Some(watch) => watch,
            None => {
                let user = self.user.clone()?;
                let watch = self.instance.engine.spaces().watch(&user).await?;
                // Another call of `next` may have made one meanwhile: the end of the loop ends one.
                let mut state = self.state.borrow_mut();
                Rc::clone(state.0.get_or_insert_with(|| Rc::new(watch)))
            }
        };
        if self.state.borrow().1 {
            return Ok(None);
        }
        let text = watch.next().await?;
        text.map(|text| decode(&text)).transpose()
    }
}

impl LoopReader for SpaceReader {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move { Self::next(&self).await })
    }

    fn end(&self) {
        let mut state = self.state.borrow_mut();
        state.1 = true;
        let watch = state.0.take();
        drop(state);
        if let Some(watch) = watch {
            watch.end();
        }
    }
}
