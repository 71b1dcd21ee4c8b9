//! The standard `RefCell`, where a borrow that clashes is told of in one place.
//!
//! The standard one hands the place of its caller along, at each of hundreds: a hundredth of the
//! module. Builds with debug assertions still name that place.

use std::cell::{Ref, RefMut};

/// As [`std::cell::RefCell`], which says what each of these does and when it panics.
#[derive(Debug, Default)]
pub struct RefCell<T>(std::cell::RefCell<T>);

impl<T> RefCell<T> {
    /// A cell with that in it.
    pub const fn new(value: T) -> Self {
        Self(std::cell::RefCell::new(value))
    }

    /// A look at what is in it.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.borrow()
    }

    /// What is in it, to be changed.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }

    /// Puts another thing in, and gives what was there.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn replace(&self, value: T) -> T {
        self.0.replace(value)
    }

    /// Gives what was there, and leaves the default.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn take(&self) -> T
    where
        T: Default,
    {
        self.0.take()
    }
}
