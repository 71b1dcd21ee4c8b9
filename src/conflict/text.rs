//! Three-way merge of text: by lines, and where both sides changed the same lines, by words. Where
//! they changed the same words, the later write stands.
//!
//! Lines that both sides added at one place are kept, those of the earlier write first: two people
//! who each add a line to a list have not contradicted each other.

/// Lines or words of a text; put together again they are the text.
type Split = fn(&str) -> Vec<&str>;

/// Comparing costs the product of both lengths: beyond so many pairs, a passage counts as changed
/// as a whole.
const MOST_PAIRS: usize = 1 << 20;

/// Merges two texts that were made of one. `ours_later` says whose words stand where both changed
/// the same; the flag in the answer, whether they did.
#[must_use]
pub fn merge(base: &str, ours: &str, theirs: &str, ours_later: bool) -> (String, bool) {
    if base.is_empty() && ours != theirs && !ours.is_empty() && !theirs.is_empty() {
        // Two texts that have nothing in common cannot be joined.
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
            // One that has grown out of the other holds it already.
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
            // What only puts something in comes before what changes the text behind that place.
            let inserts = mine.inserts_at(from) || others.inserts_at(from);
            // Edits that overlap are one region, however many they are.
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

/// The longer of two texts of which one begins or ends with the other.
fn grown<'a>(a: &'a str, b: &'a str) -> Option<&'a str> {
    let (longer, shorter) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    (longer.starts_with(shorter) || longer.ends_with(shorter)).then_some(longer)
}

/// A stretch of the base, and how many tokens stand there instead.
#[derive(Clone, Copy, Debug)]
struct Edit {
    from: usize,
    to: usize,
    new: usize,
}

/// One side's edits while they are walked through.
struct Side<'a> {
    edits: &'a [Edit],
    /// Edits of the region that is being gathered.
    taken: usize,
    /// How far the side is ahead of the base before that region.
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

    /// Takes the next edit into the region, where it belongs there.
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

    /// Where the side's own tokens of a region are; the next region begins after it.
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

/// What makes one list of tokens of another, by their longest common part.
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
    // The length of the longest common part from each pair of places on, the last places first.
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
    let at = |i: usize, j: usize| common.get(cell(i, j)).copied().unwrap_or_default();
    let (mut i, mut j) = (0_usize, 0_usize);
    // Whether the pair before this one was a common one: then an edit begins anew.
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

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Words, the spaces between them, and every other sign alone. Scripts without spaces are taken by
/// the sign.
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
