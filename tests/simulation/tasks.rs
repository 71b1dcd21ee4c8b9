//! The executor: polls tasks in random order. A crashed tab drops its tasks wherever they stand; a
//! frozen tab's tasks wait until it thaws.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::dice::Dice;
use crate::support::clock::Clock;

/// Identifies a tab; a tab that is opened again has a new one.
pub type Owner = u64;

/// Typical histories take some ten thousand.
const MOST_POLLS: u64 = 2_000_000;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Task {
    owner: Owner,
    flag: Arc<Flag>,
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// The executor of one history.
pub struct Tasks {
    pub clock: Rc<Clock>,
    pub dice: Rc<Dice>,
    tasks: RefCell<Vec<Task>>,
    spawned: RefCell<Vec<Task>>,
    dead: RefCell<Vec<Owner>>,
    frozen: RefCell<BTreeMap<Owner, u64>>,
    polls: Cell<u64>,
}

impl Tasks {
    pub fn new(clock: Rc<Clock>, dice: Rc<Dice>) -> Self {
        Self {
            clock,
            dice,
            tasks: RefCell::default(),
            spawned: RefCell::default(),
            dead: RefCell::default(),
            frozen: RefCell::default(),
            polls: Cell::new(0),
        }
    }

    pub fn spawn(&self, owner: Owner, future: impl Future<Output = ()> + 'static) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.spawned.borrow_mut().push(Task {
            owner,
            flag,
            future: Some(Box::pin(future)),
        });
    }

    /// Drops the tasks of a tab that crashes.
    pub fn kill(&self, owner: Owner) {
        self.dead.borrow_mut().push(owner);
    }

    pub fn freeze(&self, owner: Owner, ms: u64) {
        self.frozen
            .borrow_mut()
            .insert(owner, self.clock.now.get() + ms);
    }

    pub fn thaw_all(&self) {
        self.frozen.borrow_mut().clear();
    }

    pub fn is_frozen(&self, owner: Owner) -> bool {
        self.frozen
            .borrow()
            .get(&owner)
            .is_some_and(|until| *until > self.clock.now.get())
    }

    fn take_over(&self) {
        let dead = self.dead.take();
        let mut tasks = self.tasks.borrow_mut();
        tasks.append(&mut self.spawned.borrow_mut());
        let (gone, kept): (Vec<Task>, Vec<Task>) = std::mem::take(&mut *tasks)
            .into_iter()
            .partition(|task| task.future.is_none() || dead.contains(&task.owner));
        *tasks = kept;
        drop(tasks);
        // Dropping a future may wake or spawn others, so nothing is borrowed here.
        drop(gone);
    }

    /// Polls one task that is ready. Returns false if none is.
    pub fn poll_one(&self) -> bool {
        self.take_over();
        let ready: Vec<usize> = {
            let tasks = self.tasks.borrow();
            let ready = tasks.iter().enumerate().filter(|(_, task)| {
                task.flag.0.load(Ordering::SeqCst) && !self.is_frozen(task.owner)
            });
            ready.map(|(at, _)| at).collect()
        };
        if ready.is_empty() {
            return false;
        }
        let at = *self.dice.pick(&ready);
        let (mut future, flag) = {
            let mut tasks = self.tasks.borrow_mut();
            let task = &mut tasks[at];
            (task.future.take().unwrap(), Arc::clone(&task.flag))
        };
        flag.0.store(false, Ordering::SeqCst);
        self.polls.set(self.polls.get() + 1);
        assert!(self.polls.get() < MOST_POLLS, "it never comes to rest");
        let waker = Waker::from(flag);
        if future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            self.tasks.borrow_mut()[at].future = Some(future);
        }
        true
    }

    /// Polls at most so many ready tasks, without time passing.
    pub fn run_partly(&self, polls: u64) {
        for _ in 0..polls {
            if !self.poll_one() {
                break;
            }
        }
    }

    /// Runs all tasks for `ms` milliseconds of virtual time.
    pub fn run_for(&self, ms: u64) {
        let until = self.clock.now.get() + ms;
        loop {
            while self.poll_one() {}
            match self.next_moment() {
                Some(at) if at <= until => self.pass_to(at),
                _ => break,
            }
        }
        self.clock.now.set(self.clock.now.get().max(until));
    }

    /// Runs all tasks until none is left. Panics if one can never finish.
    pub fn run_out(&self, what: &str) {
        let end = self.clock.now.get() + 24 * 3_600_000;
        loop {
            while self.poll_one() {}
            if self.tasks.borrow().is_empty() && self.spawned.borrow().is_empty() {
                return;
            }
            let at = self.next_moment();
            assert!(
                at.is_some_and(|at| at < end),
                "{what}: {} calls never end",
                self.tasks.borrow().len()
            );
            self.pass_to(at.unwrap());
        }
    }

    fn next_moment(&self) -> Option<u64> {
        let now = self.clock.now.get();
        let thaw = self
            .frozen
            .borrow()
            .values()
            .copied()
            .filter(|until| *until > now)
            .min();
        [self.clock.next_timer(), thaw].into_iter().flatten().min()
    }

    fn pass_to(&self, at: u64) {
        self.clock.now.set(self.clock.now.get().max(at));
        while self
            .clock
            .next_timer()
            .is_some_and(|next| next <= self.clock.now.get())
        {
            self.clock.fire_next();
        }
    }
}
