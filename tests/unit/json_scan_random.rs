//! The JSON scanner beside serde_json on random and damaged documents.

#[path = "../../fuzz/src/scan.rs"]
#[allow(dead_code)]
mod property;

use datum_sync::util::json::scan;
use property::agrees;

/// SplitMix64: the same texts on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }

    fn json(&mut self, depth: u64) -> String {
        let space = self.pick(&["", "", " ", "\n\t"]);
        match self.roll(if depth == 0 { 4 } else { 6 }) {
            0 => self
                .pick(&[
                    "0",
                    "-0",
                    "7",
                    "-12.5e+3",
                    "1E9",
                    "0.25",
                    "18446744073709551616",
                ])
                .to_owned(),
            1 => self.pick(&["true", "false", "null"]).to_owned(),
            2 | 3 => self
                .pick(&[
                    r#""""#,
                    r#""a""#,
                    r#""\"\\\/\b\f\n\r\t""#,
                    r#""é🦀""#,
                    r#""\ud83e\udd80""#,
                    r#""\u00e9 \u0000""#,
                ])
                .to_owned(),
            4 => {
                let items: Vec<String> = (0..self.roll(4)).map(|_| self.json(depth - 1)).collect();
                format!(
                    "[{space}{}{space}]",
                    items.join(&format!("{space},{space}"))
                )
            }
            _ => {
                let names = ["\"a\"", "\"b\"", "\"\\u0061\"", "\"id\"", "\"\""];
                let items: Vec<String> = (0..self.roll(4))
                    .map(|_| {
                        format!(
                            "{}{space}:{space}{}",
                            self.pick(&names),
                            self.json(depth - 1)
                        )
                    })
                    .collect();
                format!("{{{space}{}{space}}}", items.join(","))
            }
        }
    }
}

#[test]
fn random_documents_are_read_alike() {
    let mut dice = Dice(1);
    for _ in 0..20_000 {
        let text = dice.json(4);
        agrees(&text);
    }
}

#[test]
fn damaged_documents_are_taken_or_refused_alike() {
    let mut dice = Dice(2);
    for _ in 0..60_000 {
        let mut bytes = dice.json(3).into_bytes();
        for _ in 0..=dice.roll(2) {
            if bytes.is_empty() {
                break;
            }
            let at = dice.roll(bytes.len() as u64) as usize;
            match dice.roll(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = b"{}[]\",:\\u0e+-. \n\x01x"[dice.roll(18) as usize],
                _ => bytes.truncate(at),
            }
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            agrees(text);
        } else {
            assert!(scan::utf8(&bytes).is_err());
        }
    }
}

#[test]
fn depth_neither_overflows_the_stack_nor_is_lost() {
    for depth in [1_000, 1_000_000] {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(scan::tree(&text).is_err());
        assert_eq!(scan::array(&text).unwrap().len(), 1);
        assert!(scan::array(&text[1..]).is_err());
    }
}
