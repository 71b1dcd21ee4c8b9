//! Relations that an app has read along with an entity: a write of that entity leaves them out.

use std::borrow::Cow;

use crate::model::checked_object::CheckedObject;
use crate::model::entity::Fields;
use crate::model::error::{Code, Error, Result};
use crate::plan::write::Group;

impl Group {
    /// Returns what an app gives without the relations that it has loaded.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidEntity`] for a value in a relation's place that no read puts there.
    pub(super) fn without_loaded<'a>(
        &self,
        json: &'a str,
        stored: Option<&str>,
    ) -> Result<Cow<'a, str>> {
        if !self.may_name(json) {
            return Ok(Cow::Borrowed(json));
        }
        let kept = self.loaded(stored)?;
        let mut fields = Fields::parse(json)?;
        for (name, raw) in fields.0.iter().filter(|(name, _)| self.is_loaded(name)) {
            let is_kept = kept.0.iter().any(|it| it == &(name.clone(), *raw));
            if !is_kept && !matches!(raw.as_bytes().first(), Some(b'{' | b'[' | b'n')) {
                let problem = ["`", name, "` is a relation of this type, which is not stored: leave it out, write the field with its key, or give the relation another name in the config."].concat();
                return Err(Error::new(Code::InvalidEntity, problem));
            }
        }
        let given = fields.0.len();
        fields.0.retain(|(name, _)| !self.is_loaded(name));
        Ok(match fields.0.len() == given {
            true => Cow::Borrowed(json),
            false => Cow::Owned(fields.to_json()),
        })
    }

    /// Does the same for a whole entity, in which a stored field of a relation's name stays.
    ///
    /// # Errors
    /// As for [`Self::without_loaded`].
    pub(super) fn with_kept<'a>(
        &self,
        json: &'a str,
        stored: Option<&str>,
    ) -> Result<Cow<'a, str>> {
        let given = self.without_loaded(json, stored)?;
        if !stored.is_some_and(|stored| self.may_name(stored)) {
            return Ok(given);
        }
        let kept = self.loaded(stored)?;
        if kept.0.is_empty() {
            return Ok(given);
        }
        let mut fields = Fields::parse(&given)?;
        fields.0.extend(kept.0);
        Ok(Cow::Owned(fields.to_json()))
    }

    /// Returns false if no relation is named in a text.
    fn may_name(&self, text: &str) -> bool {
        let mut all = CheckedObject(&self.relations).entries();
        // A name has no characters that JSON escapes.
        all.any(|(name, _)| text.contains(&["\"", name, "\""].concat()))
    }

    /// Returns true if a field is a relation, and no key that a relation goes by.
    fn is_loaded(&self, field: &str) -> bool {
        let is_key = |field: &str| {
            let mut parents = self.parents.iter();
            parents.any(|parent| parent.foreign_key == field)
        };
        CheckedObject(&self.relations).value(field).is_some() && !is_key(field)
    }

    /// Returns the stored fields that have a relation's name.
    fn loaded<'s>(&self, stored: Option<&'s str>) -> Result<Fields<'s>> {
        let mut fields = stored.map(Fields::parse).transpose()?.unwrap_or_default();
        fields.0.retain(|(name, _)| self.is_loaded(name));
        Ok(fields)
    }
}
