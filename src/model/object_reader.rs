//! Reads the members of a JSON object by name, and says which one is wrong and what it must be.
//!
//! Config, options and metadata come in through here. One reader for all of them is a fraction of
//! the code that a derived one for each struct would be, and its messages name the whole path. It
//! must never know what any of the objects means.
//!
//! A member that is wrong reads as absent, and what is wrong with the first of them is said at the
//! end: to ask after each one would be a third of the code of whoever reads twenty.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;

/// An object whose members are asked for by name. Null counts as absent, and so does what is wrong:
/// whoever has read all that they need calls [`Self::finish`] or [`Self::check`].
#[derive(Debug)]
pub struct ObjectReader<'a> {
    map: &'a Map<String, Value>,
    code: Code,
    what: &'a str,
    /// Where the object is in the whole, such as `entities.tasks`; empty for the whole itself.
    path: String,
    asked: Vec<&'a str>,
    /// What was wrong first, here or in any other object of the same whole.
    fault: Rc<RefCell<Option<Error>>>,
}

impl<'a> ObjectReader<'a> {
    /// Reads an object. Every error has this code, and begins with `what`, such as `The config`.
    ///
    /// # Errors
    /// `code` where the value is not an object.
    pub fn new(value: &'a Value, code: Code, what: &'a str) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self {
                map,
                code,
                what,
                path: String::new(),
                asked: Vec::new(),
                fault: Rc::default(),
            }),
            _ => Err(Error::new(code, format!("{what} must be an object."))),
        }
    }

    /// Names that [`Self::finish`] shall know of although nobody asks for them here.
    #[must_use]
    pub fn also_allow(mut self, names: &[&'a str]) -> Self {
        self.asked.extend_from_slice(names);
        self
    }

    /// The names of the members that are there.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.map.keys().map(String::as_str)
    }

    /// The object itself.
    #[must_use]
    pub const fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// A member as it is.
    pub fn value(&mut self, name: &'a str) -> Option<&'a Value> {
        // Not looked for among those: a reply's maps are read by the names that they have, and may
        // be large.
        self.asked.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn text(&mut self, name: &'a str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            _ => self.reject(name, "must be a string."),
        }
    }

    /// A boolean.
    pub fn flag(&mut self, name: &'a str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(*flag),
            _ => self.reject(name, "must be true or false."),
        }
    }

    /// A number.
    pub fn number(&mut self, name: &'a str) -> Option<f64> {
        self.value(name)?
            .as_f64()
            .or_else(|| self.reject(name, "must be a number."))
    }

    /// A whole number within bounds, both included.
    pub fn whole(&mut self, name: &'a str, least: u64, most: u64) -> Option<u64> {
        match self.value(name)?.as_u64() {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => self.reject(
                name,
                &format!("must be a whole number from {least} to {most}."),
            ),
        }
    }

    /// The same, or what stands for it where it is absent.
    pub fn whole_or(&mut self, name: &'a str, least: u64, most: u64, default: u64) -> u64 {
        self.whole(name, least, most).unwrap_or(default)
    }

    /// An array of strings.
    pub fn texts(&mut self, name: &'a str) -> Option<Vec<String>> {
        let items = self.array(name)?;
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.clone()),
                _ => return self.reject(&format!("{name}[{index}]"), "must be a string."),
            }
        }
        Some(texts)
    }

    /// What a string stands for.
    pub fn choice<T: Copy>(&mut self, name: &'a str, among: &[(&'static str, T)]) -> Option<T> {
        let chosen = self.chosen(name, &|at| among.get(at).map(|(known, _)| *known))?;
        among.get(chosen).map(|(_, chosen)| *chosen)
    }

    /// An object within.
    pub fn object(&mut self, name: &'a str) -> Option<Self> {
        let value = self.value(name)?;
        self.within(value, name)
    }

    /// An array of objects.
    pub fn objects(&mut self, name: &'a str) -> Vec<Self> {
        let items = self.array(name).unwrap_or_default();
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            objects.extend(self.within(item, &format!("{name}[{index}]")));
        }
        objects
    }

    /// Refuses what was wrong.
    ///
    /// # Errors
    /// The code, naming the first member that was.
    pub fn check(&self) -> Result<()> {
        self.fault.borrow().clone().map_or(Ok(()), Err)
    }

    /// Notes what is wrong with a member, such as `must not be empty.`, unless something was
    /// before. None, as which the member then reads.
    pub fn reject<T>(&self, name: &str, problem: &str) -> Option<T> {
        self.refuse(name, problem);
        None
    }

    /// Notes members that nobody asked for. Without it, they are ignored.
    pub fn reject_unknown(&self) {
        if let Some(unknown) = self.names().find(|name| !self.asked.contains(name)) {
            self.refuse(
                unknown,
                &["is not known; known are ", &self.asked.join(", "), "."].concat(),
            );
        }
    }

    /// Refuses what was wrong, and members that nobody asked for.
    ///
    /// # Errors
    /// The code, naming the first such member; those that there are, where it is not known.
    pub fn finish(self) -> Result<()> {
        self.reject_unknown();
        self.check()
    }

    #[inline(never)]
    fn refuse(&self, name: &str, problem: &str) {
        let mut fault = self.fault.borrow_mut();
        if fault.is_none() {
            let dot = if self.path.is_empty() { "" } else { "." };
            *fault = Some(Error::new(
                self.code,
                [self.what, ": `", &self.path, dot, name, "` ", problem].concat(),
            ));
        }
    }

    fn within(&self, value: &'a Value, name: &str) -> Option<Self> {
        let Value::Object(map) = value else {
            return self.reject(name, "must be an object.");
        };
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            [&self.path, ".", name].concat()
        };
        Some(Self {
            map,
            code: self.code,
            what: self.what,
            path,
            asked: Vec::new(),
            fault: Rc::clone(&self.fault),
        })
    }

    fn array(&mut self, name: &'a str) -> Option<&'a [Value]> {
        match self.value(name)? {
            Value::Array(items) => Some(items),
            _ => self.reject(name, "must be an array."),
        }
    }

    // Once for all that names can stand for.
    fn chosen(
        &mut self,
        name: &'a str,
        known: &dyn Fn(usize) -> Option<&'static str>,
    ) -> Option<usize> {
        let value = self.value(name)?;
        let mut problem = String::from("must be one of");
        let mut at = 0_usize;
        while let Some(known) = known(at) {
            if value.as_str() == Some(known) {
                return Some(at);
            }
            problem.push_str(if at == 0 { " \"" } else { ", \"" });
            problem.push_str(known);
            problem.push('"');
            at = at.saturating_add(1);
        }
        problem.push('.');
        self.reject(name, &problem)
    }
}
