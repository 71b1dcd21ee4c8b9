//! Reads and validates the members of a JSON object by name.
//!
//! Config, options and metadata are read through it. It is a fraction of the code of a derived
//! `Deserialize` for each struct, and its messages name the whole path. It knows nothing about what
//! the objects mean.
//!
//! Invalid members read as `None`; [`ObjectReader::finish`] returns the first error. Checking after
//! every member made the config reader a third larger.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::model::entity::check_space_id;
use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;
use crate::util::json::number::{push_fraction, whole};

/// An object whose members are read by name. Null and invalid members read as `None`; after the
/// last member, call [`Self::finish`] or [`Self::check`].
#[derive(Debug)]
pub struct ObjectReader<'a> {
    map: &'a Map<String, Value>,
    code: Code,
    what: &'a str,
    /// The path of the object, such as `entities.tasks`; empty for the outermost object.
    path: String,
    asked: Vec<&'a str>,
    /// The first error, here or in any other object of the same whole.
    fault: Rc<RefCell<Option<Error>>>,
}

impl<'a> ObjectReader<'a> {
    /// Starts to read an object. Every error has this code and begins with `what`, such as
    /// `The config`.
    ///
    /// # Errors
    /// Fails with `code` if the value is not an object.
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

    /// Allows members that are not read here.
    #[must_use]
    pub fn also_allow(mut self, names: &[&'a str]) -> Self {
        self.asked.extend_from_slice(names);
        self
    }

    /// Returns the names of the members that are present.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.map.keys().map(String::as_str)
    }

    /// Returns the object itself.
    #[must_use]
    pub const fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// Reads a member of any type.
    pub fn value(&mut self, name: &'a str) -> Option<&'a Value> {
        // Pushed unchecked: maps of a reply are read by the names that they have, and may be large.
        self.asked.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Reads a string.
    pub fn text(&mut self, name: &'a str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            _ => self.reject(name, "must be a string."),
        }
    }

    /// Reads the id of a space: empty for null, which is the user's own.
    pub fn space(&mut self, name: &'a str) -> Option<String> {
        if self.map.get(name).is_some_and(Value::is_null) {
            self.asked.push(name);
            return Some(String::new());
        }
        let id = self.text(name)?;
        match check_space_id(&id) {
            Ok(()) => Some(id),
            Err(_) => self.reject(
                name,
                "must be the id of a shared space, a UUID in lower case, or null for the user's own.",
            ),
        }
    }

    /// Reads a boolean.
    pub fn flag(&mut self, name: &'a str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(*flag),
            _ => self.reject(name, "must be true or false."),
        }
    }

    /// Reads a number.
    pub fn number(&mut self, name: &'a str) -> Option<f64> {
        self.value(name)?
            .as_f64()
            .or_else(|| self.reject(name, "must be a number."))
    }

    /// Reads a whole number from `least` to `most`.
    pub fn whole(&mut self, name: &'a str, least: u64, most: u64) -> Option<u64> {
        let value = self.value(name)?;
        // Not by the value's own text, which would link the code that formats fractions.
        let written = || {
            let mut text = String::new();
            push_fraction(&mut text, value.as_f64()?);
            whole(&text)
        };
        match value.as_u64().or_else(written) {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => self.reject(
                name,
                &format!("must be a whole number from {least} to {most}."),
            ),
        }
    }

    /// Reads a whole number from `least` to `most`; `default` if it is absent.
    pub fn whole_or(&mut self, name: &'a str, least: u64, most: u64, default: u64) -> u64 {
        self.whole(name, least, most).unwrap_or(default)
    }

    /// Reads an array of strings.
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

    /// Reads a string and returns the value that it names.
    pub fn choice<T: Copy>(&mut self, name: &'a str, among: &[(&'static str, T)]) -> Option<T> {
        let chosen = self.chosen(name, &|at| among.get(at).map(|(known, _)| *known))?;
        among.get(chosen).map(|(_, chosen)| *chosen)
    }

    /// Reads a member that is an object.
    pub fn object(&mut self, name: &'a str) -> Option<Self> {
        let value = self.value(name)?;
        self.within(value, name)
    }

    /// Reads an array of objects.
    pub fn objects(&mut self, name: &'a str) -> Vec<Self> {
        let items = self.array(name).unwrap_or_default();
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            objects.extend(self.within(item, &format!("{name}[{index}]")));
        }
        objects
    }

    /// Checks that every member read so far was valid.
    ///
    /// # Errors
    /// Fails with the first error.
    pub fn check(&self) -> Result<()> {
        self.fault.borrow().clone().map_or(Ok(()), Err)
    }

    /// Records an error, such as `must not be empty.`, unless there is one already. Returns `None`,
    /// which is how the member then reads.
    pub fn reject<T>(&self, name: &str, problem: &str) -> Option<T> {
        self.refuse(name, problem);
        None
    }

    /// Records an error if there are members that were not read. Without this call they are
    /// ignored.
    pub fn reject_unknown(&self) {
        if let Some(unknown) = self.names().find(|name| !self.asked.contains(name)) {
            self.refuse(
                unknown,
                &["is not known; known are ", &self.asked.join(", "), "."].concat(),
            );
        }
    }

    /// Checks that every member was valid and that all members were read.
    ///
    /// # Errors
    /// Fails with the first error; for an unknown member, it lists the known ones.
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

    // Not generic: compiled once for all types of choices.
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
