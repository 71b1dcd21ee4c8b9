//! Files of traces. Any bytes are read or refused by line, and what was read is replayed or refused by line. So that
//! what is behind the checksum is tried as well, a file is also read without its last line, as one that was cut.

use datum_sync::model::error::Code;
use datum_sync::plan::trace::read::read;
use datum_sync::plan::trace::replay::Replay;

/// Takes any bytes.
pub fn holds(bytes: &[u8]) {
    let end = br#"{"line":"end""#;
    let at = bytes.windows(end.len()).rposition(|found| found == end);
    for bytes in [bytes, &bytes[..at.unwrap_or(bytes.len())]] {
        let file = match read(bytes) {
            Ok(file) => file,
            Err(error) => {
                let codes = [Code::InvalidArgument, Code::Corrupt, Code::ClientOutdated];
                assert!(codes.contains(&error.code()), "{error}");
                continue;
            }
        };
        let mut replay = Replay::new(&file);
        loop {
            match replay.step() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
                    assert!(error.message().contains("ine "), "names no line: {error}");
                    break;
                }
            }
        }
        let _ = replay.end();
    }
}
