//! Random entities and queries: names twice, escapes, numbers in every form, types mixed.

use super::query_support::Entity;

/// SplitMix64: the same texts on every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    /// A string as JSON text, some characters as escapes.
    pub fn string(&mut self) -> String {
        const PARTS: [&str; 22] = [
            "a",
            "b",
            "A",
            "B",
            "ab",
            " ",
            ".",
            "\\u0061",
            "\\u0041",
            "\\n",
            "\\\"",
            "\\\\",
            "\\/",
            "é",
            "É",
            "\\u00e9",
            "\\u0000",
            "🦀",
            "\\ud83e\\udd80",
            "\u{ffff}",
            "Ж",
            "ж",
        ];
        let parts: Vec<&str> = (0..self.roll(4)).map(|_| self.pick(&PARTS)).collect();
        format!("\"{}\"", parts.concat())
    }

    pub fn number(&mut self) -> &'static str {
        self.pick(&[
            "0",
            "-0",
            "-0.0",
            "1",
            "1.0",
            "1e0",
            "10e-1",
            "2",
            "-1",
            "0.1",
            "0.3",
            "2.5",
            "-2.5e2",
            "9007199254740992",
            "9007199254740993",
            "18446744073709551616",
            "1e300",
            "5e-324",
            "0.30000000000000004",
            "123456789012345678901234567890",
            "1E3",
            "1000",
        ])
    }

    pub fn value(&mut self, depth: usize) -> String {
        let space = self.pick(&["", "", "", " ", "\n\t"]);
        match self.roll(if depth == 0 { 6 } else { 9 }) {
            0 => "null".to_owned(),
            1 => self.pick(&["true", "false"]).to_owned(),
            2 | 3 => self.number().to_owned(),
            4 | 5 => self.string(),
            6 => {
                let place = [("0", "0"), ("52.5", "13.4"), ("-90", "180"), ("91", "0")];
                let (latitude, longitude) = place[self.roll(4)];
                format!("{{\"latitude\":{latitude},{space}\"longitude\":{longitude}}}")
            }
            7 => {
                let items: Vec<String> = (0..self.roll(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{space}{}{space}]", items.join(","))
            }
            _ => self.object(depth - 1),
        }
    }

    /// An object whose names may stand twice and may be escaped.
    pub fn object(&mut self, depth: usize) -> String {
        const NAMES: [&str; 12] = [
            "a",
            "b",
            "a",
            "b",
            "c",
            "\\u0061",
            "0",
            "1",
            "a.b",
            "__proto__",
            "\\u0062",
            "\\\\",
        ];
        let space = self.pick(&["", "", "", " ", "\n\t"]);
        let members: Vec<String> = (0..self.roll(6))
            .map(|_| {
                let name = self.pick(&NAMES);
                format!("\"{name}\"{space}:{space}{}", self.value(depth))
            })
            .collect();
        format!("{{{space}{}{space}}}", members.join(&format!("{space},")))
    }

    pub fn field(&mut self) -> &'static str {
        self.pick(&[
            "a",
            "a",
            "b",
            "b",
            "c",
            "a.b",
            "a.a",
            "b.0",
            "a.0.b",
            "a\\\\.b",
            "__proto__",
            "id",
            "isDeleted",
            "version",
            "spaceId",
            "id.x",
            "b.a.0",
            "0",
            "a.00",
            "\\\\\\\\",
        ])
    }

    pub fn condition(&mut self, depth: usize) -> String {
        match self.roll(if depth == 0 { 9 } else { 12 }) {
            9 | 10 => {
                let parts: Vec<String> = (0..self.roll(4))
                    .map(|_| self.condition(depth - 1))
                    .collect();
                let name = self.pick(&["and", "or"]);
                format!("{{\"{name}\":[{}]}}", parts.join(","))
            }
            11 => format!("{{\"not\":{}}}", self.condition(depth - 1)),
            _ => {
                let mut text = format!("{{\"field\":\"{}\"", self.field());
                for _ in 0..=usize::from(self.roll(6) == 0) {
                    text += &format!(",{}", self.operator());
                }
                text + "}"
            }
        }
    }

    fn operator(&mut self) -> String {
        let scalar = |dice: &mut Self| loop {
            let value = dice.value(1);
            if value != "null" {
                return value;
            }
        };
        match self.roll(12) {
            0 => format!("\"equals\":{}", self.value(2)),
            1 => format!("\"notEquals\":{}", self.value(1)),
            2 => {
                let name = self.pick(&[
                    "greaterThan",
                    "greaterThanOrEqual",
                    "lessThan",
                    "lessThanOrEqual",
                ]);
                format!("\"{name}\":{}", scalar(self))
            }
            3 if self.roll(2) == 0 => format!("\"between\":[{},{}]", self.string(), self.string()),
            3 => format!("\"between\":[{},{}]", self.number(), self.number()),
            4 | 5 => {
                let values: Vec<String> = (0..self.roll(5)).map(|_| self.value(1)).collect();
                let name = self.pick(&["isIn", "isNotIn", "arrayContainsAny"]);
                format!("\"{name}\":[{}]", values.join(","))
            }
            6 => format!("\"isNull\":{}", self.roll(2) == 0),
            7 => format!("\"arrayContains\":{}", self.value(1)),
            8 => format!(
                "\"withinDistance\":{{\"latitude\":{},\"longitude\":{},\"metres\":{}}}",
                self.pick(&["0", "52.4", "-90"]),
                self.pick(&["0", "13.5", "-180"]),
                self.pick(&["0", "15000", "1e7", "3e7"])
            ),
            _ => {
                let name = self.pick(&["contains", "containsIgnoreCase", "startsWith", "endsWith"]);
                format!("\"{name}\":{}", self.string())
            }
        }
    }

    pub fn order(&mut self) -> String {
        let keys: Vec<String> = (0..self.roll(4))
            .map(|_| {
                format!(
                    "{{\"field\":\"{}\"{}{}}}",
                    self.field(),
                    self.pick(&["", ",\"descending\":true", ",\"descending\":false"]),
                    self.pick(&["", "", ",\"nulls\":\"first\"", ",\"nulls\":\"last\""])
                )
            })
            .collect();
        format!("[{}]", keys.join(","))
    }

    pub fn query(&mut self) -> String {
        let mut text = format!("{{\"orderBy\":{}", self.order());
        if self.roll(4) > 0 {
            text += &format!(",\"where\":{}", self.condition(3));
        }
        if self.roll(2) == 0 {
            text += &format!(",\"limit\":{}", self.roll(6));
        }
        if self.roll(3) == 0 {
            text += &format!(",\"offset\":{}", self.roll(4));
        }
        text + &format!(",\"includeDeleted\":{}}}", self.roll(4) == 0)
    }

    pub fn entity(&mut self, id: usize) -> Entity {
        Entity {
            id: format!("{}{id}", self.pick(&["a", "b", "ü"])),
            space: (self.roll(5) == 0).then(|| "space".to_owned()),
            version: self.roll(3) as u64,
            deleted: self.roll(8) == 0,
            body: self.object(3),
        }
    }
}
