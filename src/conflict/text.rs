//! Three-way merge of text: by lines and, where both sides changed the same lines, by words. Where
//! they changed the same words, the later write wins.
//!
//! Lines that both sides added at the same position are all kept, the earlier write's first: two
//! people who each add a line to a list do not contradict each other.

/// Splits a text into lines or words that concatenate to the text again.
type Split = fn(&str) -> Vec<&str>;

/// A comparison costs the product of both lengths. A passage with more pairs than this counts as
/// changed as a whole.
const MOST_PAIRS: usize = 1 << 20;

/// Merges two texts with a common base. Where both changed the same words, the later write wins and
/// the returned flag is true.
#[must_use]
pub fn merge(base: &str, ours: &str, theirs: &str, ours_later: bool) -> (String, bool) {
    if base.is_empty() && ours != theirs && !ours.is_empty() && !theirs.is_empty() {
        // Two texts without a common base cannot be joined.
        return (if ours_later { ours } else { theirs }.to_owned(), true);
    }
    let mut merge = TextMerge {
        out: String::new(),
        ours_later,
        overlaps: false,
    };
    merge.passage(base, ours, theirs, &[lines, words]);
    (merge.out, merge.overlaps)
}

struct TextMerge {
    out: String,
    ours_later: bool,
    overlaps: bool,
}

impl TextMerge {
    fn passage(&mut self, base: &str, ours: &str, theirs: &str, splits: &[Split]) {
        if ours == base || ours == theirs {
            return self.out.push_str(theirs);
        }
        if theirs == base {
            return self.out.push_str(ours);
        }
        let (later, earlier) = if self.ours_later {
            (ours, theirs)
        } else {
            (theirs, ours)
        };
        if base.is_empty() {
            // A text that extends the other one contains it already.
            if let Some(longer) = grown(ours, theirs) {
                return self.out.push_str(longer);
            }
            if [ours, theirs]
                .iter()
                .all(|text| text.as_bytes().contains(&b'\n'))
            {
                self.out.push_str(earlier);
                return self.out.push_str(later);
            }
        }
        let Some((split, finer)) = splits.split_first() else {
            self.overlaps = true;
            return self.out.push_str(later);
        };
        let (base, ours, theirs) = (split(base), split(ours), split(theirs));
        let (our_edits, their_edits) = (edits(&base, &ours), edits(&base, &theirs));
        let (mut mine, mut others) = (Side::of(&our_edits), Side::of(&their_edits));
        let mut at = 0;
        while let Some(from) = [mine.next(), others.next()].into_iter().flatten().min() {
            self.copy(&base, at, from);
            // An insertion comes before a change of the text after it.
            let inserts = mine.inserts_at(from) || others.inserts_at(from);
            // All edits that overlap are one region.
            let mut to = from;
            while mine.join(from, &mut to, inserts) || others.join(from, &mut to, inserts) {}
            let of = |tokens: &[&str], range: (usize, usize)| {
                tokens.get(range.0..range.1).unwrap_or_default().concat()
            };
            self.passage(
                &of(&base, (from, to)),
                &of(&ours, mine.take(from, to)),
                &of(&theirs, others.take(from, to)),
                finer,
            );
            at = to;
        }
        self.copy(&base, at, base.len());
    }

    fn copy(&mut self, base: &[&str], from: usize, to: usize) {
        for token in base.get(from..to).unwrap_or_default() {
            self.out.push_str(token);
        }
    }
}

/// Returns the longer of two texts if it starts or ends with the shorter one.
fn grown<'a>(a: &'a str, b: &'a str) -> Option<&'a str> {
    let (longer, shorter) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    (longer.starts_with(shorter) || longer.ends_with(shorter)).then_some(longer)
}

/// A range of the base and the number of tokens that replace it.
#[derive(Clone, Copy, Debug)]
struct Edit {
    from: usize,
    to: usize,
    new: usize,
}

/// An iterator over one side's edits.
struct Side<'a> {
    edits: &'a [Edit],
    /// How many edits belong to the current region.
    taken: usize,
    /// Tokens that the side added and removed before the current region.
    grown: usize,
    shrunk: usize,
}

impl<'a> Side<'a> {
    const fn of(edits: &'a [Edit]) -> Self {
        Self {
            edits,
            taken: 0,
            grown: 0,
            shrunk: 0,
        }
    }

    fn next(&self) -> Option<usize> {
        self.edits.get(self.taken).map(|edit| edit.from)
    }

    fn inserts_at(&self, from: usize) -> bool {
        self.edits
            .get(self.taken)
            .is_some_and(|edit| edit.from == from && edit.to == from)
    }

    /// Adds the next edit to the region if it belongs to it.
    fn join(&mut self, from: usize, to: &mut usize, inserts: bool) -> bool {
        let belongs = if inserts {
            self.inserts_at(from)
        } else {
            self.next().is_some_and(|at| at == from || at < *to)
        };
        if let (true, Some(edit)) = (belongs, self.edits.get(self.taken)) {
            *to = edit.to.max(*to);
            self.taken = self.taken.saturating_add(1);
        }
        belongs
    }

    /// Returns the range of the side's own tokens of a region, and moves past it.
    fn take(&mut self, from: usize, to: usize) -> (usize, usize) {
        let place =
            |at: usize, side: &Self| at.saturating_add(side.grown).saturating_sub(side.shrunk);
        let start = place(from, self);
        let (done, rest) = self.edits.split_at_checked(self.taken).unwrap_or_default();
        for edit in done {
            self.grown = self.grown.saturating_add(edit.new);
            self.shrunk = self
                .shrunk
                .saturating_add(edit.to.saturating_sub(edit.from));
        }
        (self.edits, self.taken) = (rest, 0);
        (start, place(to, self))
    }
}

/// Returns the edits from one list of tokens to another, by their longest common subsequence.
fn edits(base: &[&str], side: &[&str]) -> Vec<Edit> {
    let head = base.iter().zip(side).take_while(|(a, b)| a == b).count();
    let (base, side) = (
        base.get(head..).unwrap_or_default(),
        side.get(head..).unwrap_or_default(),
    );
    let tail = base
        .iter()
        .rev()
        .zip(side.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let base = base
        .get(..base.len().saturating_sub(tail))
        .unwrap_or_default();
    let side = side
        .get(..side.len().saturating_sub(tail))
        .unwrap_or_default();
    let mut edits: Vec<Edit> = Vec::new();
    let width = side.len().saturating_add(1);
    if base.is_empty() || side.is_empty() || base.len().saturating_mul(width) > MOST_PAIRS {
        if !(base.is_empty() && side.is_empty()) {
            edits.push(Edit {
                from: head,
                to: head.saturating_add(base.len()),
                new: side.len(),
            });
        }
        return edits;
    }
    let common = common_lengths(base, side);
    let at = |i: usize, j: usize| {
        let cell = i.saturating_mul(width).saturating_add(j);
        common.get(cell).copied().unwrap_or_default()
    };
    let (mut i, mut j) = (0_usize, 0_usize);
    // True after a common token: the next difference starts a new edit.
    let mut fresh = true;
    while i < base.len() || j < side.len() {
        if base.get(i).is_some() && base.get(i) == side.get(j) {
            (i, j, fresh) = (i.saturating_add(1), j.saturating_add(1), true);
            continue;
        }
        let place = head.saturating_add(i);
        if fresh {
            edits.push(Edit {
                from: place,
                to: place,
                new: 0,
            });
            fresh = false;
        }
        let Some(edit) = edits.last_mut() else { break };
        if i < base.len()
            && (j >= side.len() || at(i.saturating_add(1), j) >= at(i, j.saturating_add(1)))
        {
            edit.to = place.saturating_add(1);
            i = i.saturating_add(1);
        } else {
            edit.new = edit.new.saturating_add(1);
            j = j.saturating_add(1);
        }
    }
    edits
}

/// Returns the length of the longest common subsequence from each pair of positions on: a row for
/// each position of the base, and one more of each at the end.
fn common_lengths(base: &[&str], side: &[&str]) -> Vec<u32> {
    let width = side.len().saturating_add(1);
    let mut common = vec![0_u32; base.len().saturating_add(1).saturating_mul(width)];
    let cell = |i: usize, j: usize| i.saturating_mul(width).saturating_add(j);
    for (i, token) in base.iter().enumerate().rev() {
        for (j, other) in side.iter().enumerate().rev() {
            let at = |i: usize, j: usize| common.get(cell(i, j)).copied().unwrap_or_default();
            let (down, right) = (i.saturating_add(1), j.saturating_add(1));
            let longest = if token == other {
                at(down, right).saturating_add(1)
            } else {
                at(down, j).max(at(i, right))
            };
            if let Some(place) = common.get_mut(cell(i, j)) {
                *place = longest;
            }
        }
    }
    common
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Splits into words, spaces and single other characters. Scripts without spaces are split into
/// characters.
fn words(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        ' ' | '\t' => 1,
        '\u{80}'..'\u{2e80}' | '_' => 2,
        c if c.is_ascii_alphanumeric() => 2,
        _ => 0,
    };
    let mut words = Vec::new();
    let (mut start, mut last) = (0, 0);
    for (at, c) in text.char_indices() {
        let this = kind(c);
        if at > start && (this == 0 || this != last) {
            words.extend(text.get(start..at));
            start = at;
        }
        last = this;
    }
    words.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    words
}
