//! The standard `RefCell` without caller locations in release builds.
//!
//! The standard methods are `#[track_caller]`, which costs a location at each of hundreds of calls,
//! 1.4 KiB in all. Builds with debug assertions still report the caller.

use std::cell::{Ref, RefMut};

/// See [`std::cell::RefCell`] for what each method does and when it panics.
#[derive(Debug, Default)]
pub struct RefCell<T>(std::cell::RefCell<T>);

impl<T> RefCell<T> {
    pub const fn new(value: T) -> Self {
        Self(std::cell::RefCell::new(value))
    }

    #[cfg_attr(debug_assertions, track_caller)]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.borrow()
    }

    #[cfg_attr(debug_assertions, track_caller)]
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }

    #[cfg_attr(debug_assertions, track_caller)]
    pub fn replace(&self, value: T) -> T {
        self.0.replace(value)
    }

    #[cfg_attr(debug_assertions, track_caller)]
    pub fn take(&self) -> T
    where
        T: Default,
    {
        self.0.take()
    }
}
