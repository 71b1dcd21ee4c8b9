//! `matches`: what patterns mean, and that none takes long.

use std::time::{Duration, Instant};

use super::query_dice::Dice;
use super::query_support::{Entity, read};
use datum_sync::query::evaluator::Evaluator;
use serde_json::json;

fn evaluator(pattern: &str) -> Result<Evaluator, String> {
    let query = json!({"where": {"field": "a", "matches": pattern}}).to_string();
    read(&query)
        .map(Evaluator::new)
        .map_err(|error| error.message().to_owned())
}

fn matches(pattern: &str, text: &str) -> bool {
    let body = json!({ "a": text }).to_string();
    evaluator(pattern)
        .unwrap()
        .matches(&Entity::new("one", &body).as_ref())
}

#[test]
fn patterns_mean_what_they_mean_in_javascript() {
    for (pattern, yes, no) in [
        ("b+", &["abc", "bbb"][..], &["ac", ""][..]),
        (
            "^INV-[0-9]{3,5}$",
            &["INV-123", "INV-12345"],
            &["INV-12", "INV-123456", "xINV-123"],
        ),
        ("^(?:a|bc)*d?$", &["", "abcad", "d"], &["b", "ada"]),
        ("a.c", &["abc", "a🦀c"], &["a\nc", "ac", "a\u{2028}c"]),
        (
            r"^\d\D\w\W\s\S$",
            &["1a_- x", "9-Z! x"],
            &["aa_- x", "1aé- "],
        ),
        (r"^\w$", &["a"], &["é", "ab"]),
        (r"\bcat\b", &["a cat!", "cat"], &["concat", "cats"]),
        (r"a\Bb", &["ab"], &["a b"]),
        ("[^a-c]", &["d", "é"], &["abc", ""]),
        ("^[]$", &[], &["", "]"]),
        ("^[^]$", &["x", "\n"], &[""]),
        ("[a\\]\\-z]", &["]", "-", "z"], &["b"]),
        ("[a-]", &["-", "a"], &["b"]),
        (r"^[\s\d]+$", &["1 2\u{a0}"], &["x"]),
        (r"^[\D]$", &["x"], &["5"]),
        ("a{,3}", &["a{,3}"], &["aaa"]),
        ("a{2}", &["aa"], &["aba"]),
        ("^a{0}b$", &["b"], &["ab"]),
        ("^(a*)*$", &["", "aaa"], &["b"]),
        ("^(|a)+$", &["", "aa"], &["b"]),
        ("a+?b*?c??", &["a"], &["b"]),
        (r"\u00e9\x41\u{1f980}\0\t\/\.", &["éA🦀\0\t/."], &["éA"]),
        ("(?<year>[0-9]+)", &["2026"], &["x"]),
        ("(?i)^straße [a-z]ÄГ$", &["STRAẞE Xäг"], &["strasse xäг"]),
        ("(?i)[^k]", &["a"], &["k", "K", "\u{212a}"]),
        ("", &["", "x"], &[]),
        ("x|", &["", "y"], &[]),
        ("^🦀$", &["🦀"], &["🦀🦀"]),
    ] {
        for text in yes {
            assert!(matches(pattern, text), "{pattern} {text:?}");
        }
        for text in no {
            assert!(!matches(pattern, text), "{pattern} {text:?}");
        }
    }
}

#[test]
fn what_a_pattern_cannot_have_is_refused_by_name() {
    for (pattern, expected) in [
        ("a(?=b)", "`where.matches` has a look-ahead"),
        ("(?!b)", "has a look-ahead"),
        ("(?<=b)", "has a look-behind"),
        ("(?<!b)", "has a look-behind"),
        (r"(a)\1", "has a back-reference"),
        (r"\k<x>", "has a back-reference"),
        (r"\p{L}", "has a property of Unicode"),
        (r"\q", "has an unknown escape"),
        ("(?i:a)", "has flags"),
        ("(a", "has a `(` without its `)` (character 2)"),
        ("a)", "has a `)` without its `(`"),
        ("[a", "has a `[` without its `]`"),
        ("*a", "repeats nothing"),
        ("a|+", "repeats nothing"),
        ("{3}", "repeats nothing"),
        ("a**", "repeats a repetition"),
        ("^*", "repeats a position"),
        ("[z-a]", "has a range whose ends are out of order"),
        (r"[a-\d]", "has a range that ends with a class"),
        ("a{3,2}", "has a repetition whose numbers are out of order"),
        ("a{1001}", "more than 1,000 times"),
        ("a{99999999999}", "more than 1,000 times"),
        ("((a{100}){100}){100}", "is too large"),
        (r"\x4", "too few hexadecimal digits"),
        (r"\u{41", "has a `\\u{` without its `}`"),
        ("a\\", "ends with a `\\`"),
    ] {
        let message = evaluator(pattern)
            .err()
            .unwrap_or_else(|| panic!("{pattern} is taken"));
        assert!(
            message.contains(expected) && message.ends_with('.'),
            "{pattern}: {message}"
        );
    }
    let deep = |levels: usize| format!("{}{}", "(".repeat(levels), ")".repeat(levels));
    assert!(evaluator(&deep(50)).is_ok());
    assert!(
        evaluator(&deep(100_000))
            .unwrap_err()
            .contains("nests its groups too deep")
    );
}

#[test]
fn no_pattern_takes_long() {
    let text = "a".repeat(2_000);
    let begun = Instant::now();
    for pattern in [
        "(a+)+$b",
        "(a*)*b",
        "(a|a)*b",
        "(a|aa)+$b",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(.*){1,32}[bc]",
        "((){1000}){1000}b",
        "(((){1000}){1000}){1000}b",
    ] {
        assert!(!matches(pattern, &text), "{pattern}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

/// A pattern as a tree, which says itself what it matches, a character at a time.
#[derive(Clone)]
enum Tree {
    Nothing,
    Empty,
    One(char),
    Both(Box<Tree>, Box<Tree>),
    Either(Box<Tree>, Box<Tree>),
    Many(Box<Tree>),
}

impl Tree {
    fn random(dice: &mut Dice, depth: usize) -> Self {
        let inner = |dice: &mut Dice| Box::new(Self::random(dice, depth - 1));
        match dice.roll(if depth == 0 { 3 } else { 7 }) {
            0 => Self::Empty,
            1 | 2 => Self::One(['a', 'b'][dice.roll(2)]),
            3 | 4 => Self::Both(inner(dice), inner(dice)),
            5 => Self::Either(inner(dice), inner(dice)),
            _ => Self::Many(inner(dice)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Nothing => "[]".to_owned(),
            Self::Empty => String::new(),
            Self::One(c) => c.to_string(),
            Self::Both(a, b) => format!("(?:{})({})", a.text(), b.text()),
            Self::Either(a, b) => format!("({}|{})", a.text(), b.text()),
            Self::Many(a) => format!("({})*", a.text()),
        }
    }

    fn has_empty(&self) -> bool {
        match self {
            Self::Nothing | Self::One(_) => false,
            Self::Empty | Self::Many(_) => true,
            Self::Both(a, b) => a.has_empty() && b.has_empty(),
            Self::Either(a, b) => a.has_empty() || b.has_empty(),
        }
    }

    /// What must follow a character.
    fn after(&self, c: char) -> Self {
        match self {
            Self::Nothing | Self::Empty => Self::Nothing,
            Self::One(own) if *own == c => Self::Empty,
            Self::One(_) => Self::Nothing,
            Self::Both(a, b) => {
                let first = Self::Both(Box::new(a.after(c)), b.clone());
                if a.has_empty() {
                    Self::Either(Box::new(first), Box::new(b.after(c)))
                } else {
                    first
                }
            }
            Self::Either(a, b) => Self::Either(Box::new(a.after(c)), Box::new(b.after(c))),
            Self::Many(a) => Self::Both(Box::new(a.after(c)), Box::new(self.clone())),
        }
    }
}

#[test]
fn random_patterns_match_what_their_tree_matches() {
    let mut dice = Dice(3);
    let mut found = 0;
    for _ in 0..400 {
        let tree = Tree::random(&mut dice, 4);
        let pattern = format!("^(?:{})$", tree.text());
        let mut evaluator = evaluator(&pattern).unwrap();
        for _ in 0..12 {
            let text: String = (0..dice.roll(6))
                .map(|_| ['a', 'b'][dice.roll(2)])
                .collect();
            let end = text.chars().fold(tree.clone(), |tree, c| tree.after(c));
            let body = json!({ "a": text }).to_string();
            let matches = evaluator.matches(&Entity::new("one", &body).as_ref());
            assert_eq!(matches, end.has_empty(), "{pattern} {text}");
            found += u32::from(matches);
        }
    }
    assert!(found > 300, "{found}");
}
