//! Reads the members of one line. Every error names the line and the member.

use std::borrow::Cow;
use std::rc::Rc;

use crate::model::entity::{Fields, check_id, check_name, check_space_id};
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::util::json::number::whole;
use crate::util::json::scan;

/// The members of a line, or of an object in it. Members that no one asks for are ignored.
#[derive(Debug)]
pub struct LineFields<'a> {
    fields: Fields<'a>,
    line: u64,
}

impl<'a> LineFields<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is not a JSON object.
    pub fn parse(text: &'a str, line: u64) -> Result<Self> {
        match scan::object(text) {
            Ok(members) => Ok(Self {
                fields: Fields(members),
                line,
            }),
            Err(cause) => Err(wrong(line, "is no JSON object.").caused_by(cause)),
        }
    }

    /// Returns an error about a member.
    #[must_use]
    pub fn wrong(&self, name: &str, problem: &str) -> Error {
        wrong(self.line, &["`", name, "` ", problem].concat())
    }

    /// Returns the text of a member's value; `None` for null.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name).filter(|value| *value != "null")
    }

    /// Reads a string that may be absent.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is something else.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        match scan::text(value) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(self.wrong(name, "must be a string.")),
        }
    }

    /// Reads a string.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is absent or something else.
    pub fn needed(&self, name: &str) -> Result<String> {
        self.text(name)?
            .ok_or_else(|| self.wrong(name, "is missing."))
    }

    /// Reads a whole number that may be absent. Larger ones than JavaScript holds are strings.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is something else.
    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        let text = scan::text(value).unwrap_or(Cow::Borrowed(value));
        match whole(&text) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(name, "must be a whole number.")),
        }
    }

    /// Reads a whole number; 0 if it is absent.
    ///
    /// # Errors
    /// As [`Self::number`]; also if it is beyond 32 bits.
    pub fn small(&self, name: &str) -> Result<u32> {
        let number = self.number(name)?.unwrap_or_default();
        u32::try_from(number).map_err(|_| self.wrong(name, "is too large."))
    }

    /// Reads a boolean; false if it is absent.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is something else.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.raw(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.wrong(name, "must be true or false.")),
        }
    }

    /// Reads an array of strings; an empty one if it is absent.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is something else.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for item in self.items(name)? {
            match scan::text(item) {
                Some(text) => texts.push(text.into_owned()),
                None => return Err(self.wrong(name, "must have strings only.")),
            }
        }
        Ok(texts)
    }

    /// Reads an array of hashes.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is something else.
    pub fn hashes(&self, name: &str) -> Result<Vec<u64>> {
        let mut hashes = Vec::new();
        for text in self.texts(name)? {
            match whole(&text) {
                Some(hash) => hashes.push(hash),
                None => return Err(self.wrong(name, "must have whole numbers only.")),
            }
        }
        Ok(hashes)
    }

    /// Reads an array of objects; an empty one if it is absent.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is something else.
    pub fn objects(&self, name: &str) -> Result<Vec<Self>> {
        let items = self.items(name)?.into_iter();
        let within = |item| Self::parse(item, self.line);
        items
            .map(within)
            .collect::<Result<_>>()
            .map_err(|_| self.wrong(name, "must have objects only."))
    }

    /// Reads a member that is an object itself.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is absent or something else.
    pub fn within(&self, name: &str) -> Result<Self> {
        let value = self.raw(name).unwrap_or_default();
        Self::parse(value, self.line).map_err(|_| self.wrong(name, "must be an object."))
    }

    /// Reads a body: the text of an object, `None` if it is absent.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is something else.
    pub fn body(&self, name: &str) -> Result<Option<Rc<str>>> {
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        // The scanner has checked the value; its first byte says of which type it is.
        if value.starts_with('{') {
            Ok(Some(Rc::from(value)))
        } else {
            Err(self.wrong(name, "must be an object."))
        }
    }

    /// Reads the string that names one of these values.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is absent or names none.
    pub fn choice<T: Copy>(&self, name: &str, among: &[(&str, T)]) -> Result<T> {
        let text = self.needed(name)?;
        let known = among.iter().find(|(known, _)| *known == text);
        known
            .map(|(_, value)| *value)
            .ok_or_else(|| self.wrong(name, &["has no known value: `", &text, "`."].concat()))
    }

    /// Reads the name of a table: `entity` and `spaceId`.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if either is none.
    pub fn table(&self) -> Result<String> {
        let entity = self.needed("entity")?;
        check_name(&entity).map_err(|error| self.wrong("entity", error.message()))?;
        self.table_of(&entity, "spaceId")
    }

    /// Returns the table of a type in the space that a member names; null is the personal one.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is no space.
    pub fn table_of(&self, entity: &str, name: &str) -> Result<String> {
        let space = self.text(name)?;
        if let Some(space) = &space {
            check_space_id(space).map_err(|_| self.wrong(name, "must be a UUID in lower case."))?;
        }
        Ok(Table::name(entity, space.as_deref()).into_owned())
    }

    /// Reads the id of an entity, a user or an operation.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] if it is none.
    pub fn id(&self, name: &str) -> Result<String> {
        let id = self.needed(name)?;
        check_id(&id).map_err(|error| self.wrong(name, error.message()))?;
        Ok(id)
    }

    fn items(&self, name: &str) -> Result<Vec<&'a str>> {
        let Some(value) = self.raw(name) else {
            return Ok(Vec::new());
        };
        scan::array(value).map_err(|_| self.wrong(name, "must be an array."))
    }
}

/// Returns an error about a line.
#[must_use]
pub fn wrong(line: u64, problem: &str) -> Error {
    let text = ["Line ", &line.to_string(), " of the file: ", problem].concat();
    Error::new(Code::InvalidArgument, text)
}
