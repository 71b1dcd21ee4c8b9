//! The users of one instance: the open databases, the current user, and the status feeds, which
//! exist before a database is opened and outlive it.

use std::rc::Rc;

use crate::engine::status_feed::StatusHub;
use crate::engine::user::User;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::util::local_sync::Mutex;

#[derive(Debug)]
pub(super) struct OpenUsers<S, H> {
    open: RefCell<VecMap<Rc<User<S, H>>>>,
    hubs: RefCell<VecMap<Rc<StatusHub>>>,
    current: RefCell<Option<String>>,
    /// Users whose log was wiped in another tab, and who are still signed in here.
    wiped: Rc<RefCell<Vec<String>>>,
    /// Users whose data was removed, until they sign in again or something is written for them.
    gone: RefCell<VecMap<()>>,
    /// Held while a database is opened, closed or wiped.
    pub(super) opening: Mutex,
    /// Held while a user is switched or signed out.
    pub(super) switching: Mutex,
}

impl<S, H> Default for OpenUsers<S, H> {
    fn default() -> Self {
        Self {
            open: RefCell::default(),
            hubs: RefCell::default(),
            current: RefCell::default(),
            wiped: Rc::default(),
            gone: RefCell::default(),
            opening: Mutex::default(),
            switching: Mutex::default(),
        }
    }
}

impl<S, H> OpenUsers<S, H> {
    pub(super) fn get(&self, user_id: &str) -> Option<Rc<User<S, H>>> {
        self.open.borrow().get(user_id).map(Rc::clone)
    }

    pub(super) fn all(&self) -> Vec<Rc<User<S, H>>> {
        self.open.borrow().values().map(Rc::clone).collect()
    }

    pub(super) fn insert(&self, user: &Rc<User<S, H>>) {
        self.open.borrow_mut().insert(&user.id, Rc::clone(user));
    }

    pub(super) fn remove(&self, user_id: &str) {
        self.open.borrow_mut().remove(user_id);
    }

    pub(super) fn remove_all(&self) {
        self.open.take();
    }

    pub(super) fn current(&self) -> Option<String> {
        self.current.borrow().clone()
    }

    /// Makes a user the current one; returns the previous one.
    pub(super) fn set_current(&self, user_id: &str) -> Option<String> {
        self.current.replace(Some(user_id.to_owned()))
    }

    /// Leaves no user current if this user is the current one.
    pub(super) fn clear_current(&self, user_id: &str) {
        if self.current.borrow().as_deref() == Some(user_id) {
            self.current.take();
        }
    }

    pub(super) fn hub(&self, user_id: &str, make: impl FnOnce() -> Rc<StatusHub>) -> Rc<StatusHub> {
        let mut hubs = self.hubs.borrow_mut();
        if let Some(hub) = hubs.get(user_id) {
            return Rc::clone(hub);
        }
        let hub = make();
        hubs.insert(user_id, Rc::clone(&hub));
        hub
    }

    pub(super) fn known_hub(&self, user_id: &str) -> Option<Rc<StatusHub>> {
        self.hubs.borrow().get(user_id).map(Rc::clone)
    }

    pub(super) fn hubs(&self) -> Vec<Rc<StatusHub>> {
        self.hubs.borrow().values().map(Rc::clone).collect()
    }

    /// Returns every user with a status feed, whether their database is open or not.
    pub(super) fn ids_with_hub(&self) -> Vec<String> {
        self.hubs.borrow().keys().map(str::to_owned).collect()
    }

    /// Returns the callback for databases whose log was wiped in another tab.
    pub(super) fn on_wiped(&self) -> impl Fn(&str) + 'static {
        let wiped = Rc::clone(&self.wiped);
        move |user_id| wiped.borrow_mut().push(user_id.to_owned())
    }

    /// Returns true if the user's data was removed and nobody has asked for it since.
    pub(super) fn is_gone(&self, user_id: &str) -> bool {
        self.gone.borrow().contains(user_id)
    }

    pub(super) fn set_gone(&self, user_id: &str, gone: bool) {
        let mut all = self.gone.borrow_mut();
        if gone {
            all.insert(user_id, ());
        } else {
            all.remove(user_id);
        }
    }

    /// Returns the users whose log was wiped in another tab since the last call.
    pub(super) fn take_wiped(&self) -> Vec<String> {
        self.wiped.take()
    }
}
