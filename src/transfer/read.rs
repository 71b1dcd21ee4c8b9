//! Reads a file from chunks of bytes, and checks it to its end: nothing is imported of a file that
//! is not whole.

use crate::model::error::{Code, Error, Result};
use crate::model::space::{Joined, Role};
use crate::transfer::fields::{LineFields, wrong};
use crate::transfer::file::{FORMAT, FileHeader, FileRow, MAX_LINE_BYTES, NAME, UserFile};
use crate::transfer::operation::{get_conflict, get_letter, get_operation};
use crate::util::collections::sort::sort;
use crate::util::hash::LineDigest;
use crate::util::json::scan::utf8;
use crate::util::time;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a reader waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Header,
    Lines,
    Nothing,
}

/// A file that is being read.
#[derive(Debug, Default)]
pub struct FileReader {
    file: UserFile,
    /// The line that has begun.
    partial: Vec<u8>,
    line: u64,
    digest: LineDigest,
    expected: Expected,
}

impl FileReader {
    /// The first line, once it was read.
    #[must_use]
    pub fn header(&self) -> Option<&FileHeader> {
        (self.expected != Expected::Header).then_some(&self.file.header)
    }

    /// How many lines were read.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.line
    }

    /// Reads a chunk, which may end anywhere.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for a line that no export writes, [`Code::Corrupt`] for
    /// a file that was changed, [`Code::ClientOutdated`] for a newer format.
    pub fn push(&mut self, chunk: &[u8]) -> Result<()> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, more) = rest.split_at_checked(end).unwrap_or_default();
            rest = more.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                self.take_line(line)?;
            } else {
                self.keep(line)?;
                let whole = std::mem::take(&mut self.partial);
                self.take_line(&whole)?;
            }
        }
        self.keep(rest)
    }

    /// Returns the file if it has come to its end.
    ///
    /// # Errors
    /// Fails with [`Code::Corrupt`] if it was cut; [`Code::InvalidArgument`] if it is empty, or says
    /// the same thing twice.
    pub fn finish(mut self) -> Result<UserFile> {
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() {
            self.take_line(&last).map_err(|error| {
                // Most likely the rest of a line.
                if self.expected == Expected::Lines {
                    cut().caused_by(error)
                } else {
                    error
                }
            })?;
        }
        match self.expected {
            Expected::Header => Err(Error::new(
                Code::InvalidArgument,
                "The file is empty; give one that `exportUser` has written.",
            )),
            Expected::Lines => Err(cut()),
            Expected::Nothing => {
                check_once(&mut self.file)?;
                Ok(self.file)
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        self.partial.extend_from_slice(bytes);
        let next = self.line.saturating_add(1);
        if next == 1 && self.partial.starts_with(&GZIP) {
            return Err(is_gzip());
        }
        if self.partial.len() > MAX_LINE_BYTES {
            return Err(wrong(
                next,
                "is longer than 16 MiB, which no export writes.",
            ));
        }
        Ok(())
    }

    fn take_line(&mut self, bytes: &[u8]) -> Result<()> {
        let next = self.line.saturating_add(1);
        if next == 1 && bytes.starts_with(&GZIP) {
            return Err(is_gzip());
        }
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let bytes = match next {
            1 => bytes.strip_prefix(BOM).unwrap_or(bytes),
            _ => bytes,
        };
        if bytes.is_empty() {
            return Ok(());
        }
        self.line = next;
        let text = utf8(bytes).map_err(|cause| wrong(next, "is not UTF-8.").caused_by(cause))?;
        let fields = LineFields::parse(text, next).map_err(|error| match next {
            1 => foreign().caused_by(error),
            _ => error,
        })?;
        match self.expected {
            Expected::Header => self.take_header(&fields)?,
            Expected::Lines => self.take_content(&fields)?,
            Expected::Nothing => {
                return Err(wrong(
                    next,
                    "follows the end of the file; give one file at a time.",
                ));
            }
        }
        self.digest.add(bytes);
        Ok(())
    }

    fn take_header(&mut self, line: &LineFields<'_>) -> Result<()> {
        if line.text("format").ok().flatten().as_deref() != Some(NAME) {
            return Err(foreign());
        }
        let format = line.number("formatVersion")?.unwrap_or_default();
        if format > FORMAT {
            let fix = format!(
                "The file has format {format}, and this version reads up to {FORMAT}; update `datum-sync` here, then import it again."
            );
            return Err(Error::new(Code::ClientOutdated, fix));
        }
        let mut spaces = Vec::new();
        for joined in line.objects("spaces")? {
            spaces.push(Joined {
                space: joined.needed("spaceId")?,
                role: Role::read(&joined.needed("role")?),
            });
        }
        let created = line.text("createdAt")?.and_then(|text| time::parse(&text));
        let header = &mut self.file.header;
        header.user_id = line.id("userId")?;
        header.schema = line.small("schemaVersion")?;
        header.created_at = created.unwrap_or_default();
        header.server.id = line.text("serverId")?;
        header.server.address = line.text("serverAddress")?;
        header.epoch = line.text("epoch")?;
        header.spaces = spaces;
        header.entities = line.texts("entities")?;
        header.lines = line.number("lines")?.unwrap_or_default();
        self.expected = Expected::Lines;
        Ok(())
    }

    fn take_content(&mut self, line: &LineFields<'_>) -> Result<()> {
        let what = line.needed("line")?;
        match &*what {
            "row" => self.file.rows.push(row(line)?),
            "localOnly" => {
                let fields = row(line)?;
                if fields.body.is_none() {
                    return Err(line.wrong("data", "is missing."));
                }
                // What else a row may say has no meaning here.
                self.file.local_only.push(FileRow {
                    version: 0,
                    deleted: false,
                    held: false,
                    ..fields
                });
            }
            "operation" => self.file.operations.push(get_operation(line)?),
            "conflict" => self.file.conflicts.push(get_conflict(line)?),
            "deadLetter" => self.file.dead_letters.push(get_letter(line)?),
            "end" => {
                let before = self.line.saturating_sub(1);
                let is_whole = line.number("lines")? == Some(before)
                    && line.needed("digest")? == self.digest.to_hex();
                if !is_whole {
                    return Err(Error::new(
                        Code::Corrupt,
                        "The file was changed since it was exported: its lines and its digest differ. Nothing was imported; give the file as it was written.",
                    ));
                }
                self.expected = Expected::Nothing;
            }
            _ => return Err(line.wrong("line", &["is not known: `", &what, "`."].concat())),
        }
        Ok(())
    }
}

fn row(line: &LineFields<'_>) -> Result<FileRow> {
    let row = FileRow {
        entity: line.table()?,
        id: line.id("id")?,
        version: line.number("version")?.unwrap_or_default(),
        deleted: line.flag("deleted")?,
        held: line.flag("held")?,
        body: line.body("data")?,
    };
    if row.body.is_none() && !row.deleted {
        return Err(line.wrong("data", "is missing."));
    }
    Ok(row)
}

/// Sorts the rows, and checks that a file says everything once.
fn check_once(file: &mut UserFile) -> Result<()> {
    for rows in [&mut file.rows, &mut file.local_only] {
        sort(rows);
        let mut pairs = rows.iter().zip(rows.iter().skip(1));
        if let Some((row, _)) = pairs.find(|(a, b)| a.entity == b.entity && a.id == b.id) {
            return Err(twice("row").on(&row.entity, Some(&row.id)));
        }
    }
    let letters = file.dead_letters.iter().map(|letter| &letter.op);
    let mut ids: Vec<&str> = (file.operations.iter().chain(letters))
        .map(|op| &*op.op_id)
        .collect();
    sort(&mut ids);
    if ids.iter().zip(ids.iter().skip(1)).any(|(a, b)| a == b) {
        return Err(twice("operation"));
    }
    Ok(())
}

fn twice(what: &str) -> Error {
    Error::new(
        Code::InvalidArgument,
        [
            "The file has a ",
            what,
            " twice; give one that `exportUser` has written.",
        ]
        .concat(),
    )
}

fn cut() -> Error {
    Error::new(
        Code::Corrupt,
        "The file ends before its last line: it was cut. Nothing was imported; give the whole file.",
    )
}

fn foreign() -> Error {
    Error::new(
        Code::InvalidArgument,
        "This is no file of `exportUser`: its first line is no header.",
    )
}

fn is_gzip() -> Error {
    Error::new(
        Code::InvalidArgument,
        "The file is compressed with gzip; unpack it first: `stream.pipeThrough(new DecompressionStream(\"gzip\"))`.",
    )
}
