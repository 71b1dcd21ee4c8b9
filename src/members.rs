//! Reads the members of a JSON object by name, and says which one is wrong and what it must be.
//!
//! Config, options and metadata come in through here. One reader for all of them is a fraction of the
//! code that a derived one for each struct would be, and its messages name the whole path. It must never
//! know what any of the objects means.

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};

pub mod scan;

/// An object whose members are asked for by name. Null counts as absent.
#[derive(Debug)]
pub struct Members<'a> {
    map: &'a Map<String, Value>,
    code: Code,
    what: &'a str,
    /// Where the object is in the whole, such as `entities.tasks`; empty for the whole itself.
    path: String,
    asked: Vec<&'a str>,
}

/// The value of a JSON text.
///
/// # Errors
/// What the parser says.
pub fn parse(json: &[u8]) -> Result<Value, scan::Wrong> {
    scan::tree(scan::utf8(json)?)
}

impl<'a> Members<'a> {
    /// Reads an object. Every error has this code, and begins with `what`, such as `The config`.
    ///
    /// # Errors
    /// `code` where the value is not an object.
    pub fn new(value: &'a Value, code: Code, what: &'a str) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, code, what, path: String::new(), asked: Vec::new() }),
            _ => Err(Error::new(code, format!("{what} must be an object."))),
        }
    }

    /// Names that [`Self::finish`] shall know of although nobody asks for them here.
    #[must_use]
    pub fn besides(mut self, names: &[&'a str]) -> Self {
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
        // Not looked for among those: a reply's maps are read by the names that they have, and may be large.
        self.asked.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A string.
    ///
    /// # Errors
    /// Where the member is something else.
    pub fn text(&mut self, name: &'a str) -> Result<Option<String>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(name, "must be a string.")),
        }
    }

    /// A boolean.
    ///
    /// # Errors
    /// Where the member is something else.
    pub fn flag(&mut self, name: &'a str) -> Result<Option<bool>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "must be true or false.")),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// Where the member is something else.
    pub fn number(&mut self, name: &'a str) -> Result<Option<f64>> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| self.wrong(name, "must be a number.")),
        }
    }

    /// A whole number within bounds, both included.
    ///
    /// # Errors
    /// Where the member is something else.
    pub fn whole(&mut self, name: &'a str, least: u64, most: u64) -> Result<Option<u64>> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
                _ => Err(self.wrong(name, &format!("must be a whole number from {least} to {most}."))),
            },
        }
    }

    /// An array of strings.
    ///
    /// # Errors
    /// Where the member, or one of the array's, is something else.
    pub fn texts(&mut self, name: &'a str) -> Result<Option<Vec<String>>> {
        let Some(items) = self.array(name)? else { return Ok(None) };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.clone()),
                _ => return Err(self.wrong(&format!("{name}[{index}]"), "must be a string.")),
            }
        }
        Ok(Some(texts))
    }

    /// What a string stands for.
    ///
    /// # Errors
    /// Where the member is none of the names.
    pub fn choice<T: Copy>(&mut self, name: &'a str, among: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match among.iter().find(|(known, _)| value.as_str() == Some(known)) {
            Some((_, chosen)) => Ok(Some(*chosen)),
            None => Err(self.no_choice(name, &mut among.iter().map(|(known, _)| *known))),
        }
    }

    /// An object within.
    ///
    /// # Errors
    /// Where the member is something else.
    pub fn object(&mut self, name: &'a str) -> Result<Option<Self>> {
        self.value(name).map(|value| self.within(value, self.path_of(name))).transpose()
    }

    /// An array of objects.
    ///
    /// # Errors
    /// Where the member, or one of the array's, is something else.
    pub fn objects(&mut self, name: &'a str) -> Result<Vec<Self>> {
        let Some(items) = self.array(name)? else { return Ok(Vec::new()) };
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            objects.push(self.within(item, self.path_of(&format!("{name}[{index}]")))?);
        }
        Ok(objects)
    }

    /// The error for a member with this problem, such as `must not be empty.`
    #[must_use]
    pub fn wrong(&self, name: &str, problem: &str) -> Error {
        refuse(self.code, self.what, &self.path_of(name), problem)
    }

    /// Refuses members that nobody asked for. Without it, they are ignored.
    ///
    /// # Errors
    /// The code, naming the first such member and those that there are.
    pub fn finish(self) -> Result<()> {
        match self.names().find(|name| !self.asked.contains(name)) {
            None => Ok(()),
            Some(unknown) => Err(self.wrong(unknown, &format!("is not known; known are {}.", self.asked.join(", ")))),
        }
    }

    fn within(&self, value: &'a Value, path: String) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, code: self.code, what: self.what, path, asked: Vec::new() }),
            _ => Err(refuse(self.code, self.what, &path, "must be an object.")),
        }
    }

    fn array(&mut self, name: &'a str) -> Result<Option<&'a [Value]>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.wrong(name, "must be an array.")),
        }
    }

    fn no_choice(&self, name: &str, known: &mut dyn Iterator<Item = &str>) -> Error {
        let mut problem = String::from("must be one of");
        for (index, known) in known.enumerate() {
            problem.push_str(if index == 0 { " \"" } else { ", \"" });
            problem.push_str(known);
            problem.push('"');
        }
        problem.push('.');
        self.wrong(name, &problem)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

fn refuse(code: Code, what: &str, path: &str, problem: &str) -> Error {
    Error::new(code, format!("{what}: `{path}` {problem}"))
}
