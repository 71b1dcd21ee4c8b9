//! Files of an export: a byte that says how they are cut into chunks, then the file. A file is read or refused wherever
//! its chunks end. So that what is behind its digest is tried as well, its lines are also read with a last line that fits. What
//! was read is the same when it is written and read again.

use datum_sync::model::error::{Code, Result};
use datum_sync::transfer::file::{FileRow, UserFile};
use datum_sync::transfer::read::FileReader;
use datum_sync::transfer::write::{FileWriter, RowLine};
use datum_sync::util::hash::LineDigest;

/// Takes any bytes.
pub fn holds(bytes: &[u8]) {
    let Some((chunk, file)) = bytes.split_first() else {
        return;
    };
    for file in [file.to_vec(), sealed(file)] {
        let (whole, parts) = (read(&file, file.len()), read(&file, usize::from(*chunk)));
        match (whole, parts) {
            (Ok(whole), Ok(parts)) => {
                assert_eq!(whole, parts);
                is_in_order(&whole.rows);
                is_in_order(&whole.local_only);
                is_same_again(&whole);
            }
            (Err(whole), Err(parts)) => {
                assert_eq!(whole.code(), parts.code(), "{whole}; {parts}");
                let codes = [Code::InvalidArgument, Code::Corrupt, Code::ClientOutdated];
                assert!(codes.contains(&whole.code()), "{whole}");
            }
            (whole, parts) => panic!("its chunks decide: {whole:?}, {parts:?}"),
        }
    }
}

fn read(file: &[u8], chunk: usize) -> Result<UserFile> {
    let mut reader = FileReader::default();
    for chunk in file.chunks(chunk.max(1)) {
        reader.push(chunk)?;
    }
    reader.finish()
}

/// Gives a file a last line that fits to its others.
fn sealed(file: &[u8]) -> Vec<u8> {
    let lines = file.split(|byte| *byte == b'\n');
    let is_kept = |line: &&[u8]| !line.is_empty() && !line.starts_with(br#"{"line":"end""#);
    let (mut sealed, mut digest, mut count) = (Vec::new(), LineDigest::default(), 0);
    for line in lines.filter(is_kept) {
        digest.add(line);
        count += 1;
        sealed.extend_from_slice(line);
        sealed.push(b'\n');
    }
    let digest = digest.to_hex();
    let end = format!(r#"{{"line":"end","lines":{count},"digest":"{digest}"}}"#);
    sealed.extend_from_slice(end.as_bytes());
    sealed
}

fn is_in_order(rows: &[FileRow]) {
    let keys = rows.iter().map(|row| (&row.entity, &row.id));
    assert!(
        keys.clone().zip(keys.skip(1)).all(|(a, b)| a < b),
        "{rows:?}"
    );
    assert!(rows.iter().all(|row| row.body.is_some() || row.deleted));
}

fn is_same_again(file: &UserFile) {
    let mut writer = FileWriter::default();
    writer.header(&file.header);
    for row in &file.rows {
        let line = RowLine {
            table: &row.entity,
            id: &row.id,
            version: row.version,
            deleted: row.deleted,
            held: row.held,
        };
        writer.row(line, row.body.as_deref());
    }
    for row in &file.local_only {
        writer.local_only(
            &row.entity,
            &row.id,
            row.body.as_deref().unwrap_or_default(),
        );
    }
    file.operations.iter().for_each(|op| writer.operation(op));
    file.conflicts.iter().for_each(|one| writer.conflict(one));
    file.dead_letters
        .iter()
        .for_each(|one| writer.dead_letter(one));
    writer.close();
    let text = writer.take();
    let again = read(text.as_bytes(), text.len());
    // A line has no line break, so one between two parts of a text is written as a space.
    let words = |file| format!("{file:?}").replace("\\r", " ");
    assert_eq!(words(again.as_ref()), words(Ok(file)), "{text}");
}
