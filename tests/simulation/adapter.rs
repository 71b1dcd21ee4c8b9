//! Backends that know less than the reference server: an adapter without spaces, and perhaps without
//! digests, so that no drift check mends what a pull misses.

/// What a backend leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Adapter {
    /// It knows no spaces.
    alone: bool,
    /// It counts nothing.
    counts_nothing: bool,
}

impl Adapter {
    /// Returns the backend of a history: by the seed, so that other histories do not change.
    pub fn of(seed: u64, shares: bool) -> Self {
        let alone = !shares && (seed / 4).is_multiple_of(3);
        Self {
            alone,
            counts_nothing: alone && (seed / 12).is_multiple_of(2),
        }
    }

    /// Returns a page as the backend gives it.
    pub fn answer(self, page: Vec<u8>) -> Vec<u8> {
        let mut page = String::from_utf8(page).unwrap_or_default();
        let mut leave_out = |from: &str, to: &str| {
            let begin = page.rfind(from);
            let rest = begin.and_then(|begin| page.get(begin..));
            let length = rest.and_then(|rest| Some(rest.find(to)? + to.len()));
            let end = begin.zip(length).map(|(begin, length)| begin + length);
            if let (Some(begin), Some(end)) = (begin, end) {
                page.replace_range(begin..end, "");
            }
        };
        if self.alone {
            leave_out(",\"spaces\":[", "]");
            leave_out(",\"starts\":[", "]");
        }
        if self.counts_nothing {
            leave_out(",\"digests\":{", "}}");
            leave_out(",\"digests\":{", "}");
        }
        page.into_bytes()
    }
}
