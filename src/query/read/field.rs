//! Reads the path of a field, such as `project.owner.name` or `tags.0`.

use crate::model::error::Error;
use crate::query::cell::Cell;
use crate::query::read::fault::fault;

const MAX_PARTS: usize = 32;

/// Reads a path from the JSON of a query, at which it stands.
pub(super) fn read(json: &str, at: &str) -> Result<Vec<Vec<u8>>, Error> {
    let mut room = Vec::new();
    let text = Cell::read(json.as_bytes()).text(&mut room);
    text.map_or(
        Err("must be the name of a field as a string, such as \"priority\" or \"project.name\"."),
        parse,
    )
    .map_err(|problem| fault(at, problem))
}

/// Reads a path: its parts are separated by dots, and a backslash before a dot or a backslash makes
/// it a character of the name.
///
/// # Errors
/// Fails with what is wrong, as the end of a sentence about the path.
pub(in crate::query) fn parse(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'.' => {
                parts.push(Vec::new());
                continue;
            }
            b'\\' => match bytes.next() {
                Some(escaped @ (b'.' | b'\\')) => escaped,
                _ => {
                    return Err(
                        "has a backslash, which stands only before a dot or another backslash of a name.",
                    );
                }
            },
            byte => byte,
        };
        if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    if parts.iter().any(Vec::is_empty) {
        return Err(
            "has an empty part. Separate names by single dots; a dot within a name is written `\\.`.",
        );
    }
    if parts.len() > MAX_PARTS {
        return Err("must not have more than 32 parts.");
    }
    Ok(parts)
}
