//! Writes values that derive `Serialize` as JSON text.
//!
//! serde_json's writer is generic over formatter, sink and error, and brings its own tables for
//! fractions: 8.2 KiB more in the module than this one.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::util::json::escape::{push_number, push_string};
use crate::util::json::number::push_fraction;

/// Returns a value as JSON text without white space.
///
/// Does not support serde_json's `RawValue`, which only serde_json's own writer knows.
#[must_use]
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> String {
    let mut writer = Writer { out: String::new() };
    match value.serialize(&mut writer) {
        Ok(()) => writer.out,
        Err(never) => match never {},
    }
}

/// The error of a writer that cannot fail.
#[derive(Debug)]
enum Never {}

impl std::fmt::Display for Never {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl serde::ser::Error for Never {
    // Called by types that refuse to be serialized, such as a locked mutex; the engine has none.
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        std::process::abort()
    }
}

struct Writer {
    out: String,
}

impl Writer {
    /// Appends a comma, except before the first item.
    fn next(&mut self) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
    }

    fn name(&mut self, name: &str) {
        self.next();
        push_string(&mut self.out, name);
        self.out.push(':');
    }

    fn whole(&mut self, number: u64) {
        push_number(&mut self.out, number);
    }

    fn open(&mut self, begin: &str, end: &'static str) -> Open<'_> {
        self.out.push_str(begin);
        Open { writer: self, end }
    }

    fn variant(&mut self, name: &str, begin: &str, end: &'static str) -> Open<'_> {
        self.out.push('{');
        self.name(name);
        self.open(begin, end)
    }
}

/// An object or array that is still open.
struct Open<'a> {
    writer: &'a mut Writer,
    end: &'static str,
}

impl Open<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        self.writer.next();
        value.serialize(&mut *self.writer)
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Never> {
        self.writer.name(name);
        value.serialize(&mut *self.writer)
    }

    fn close(self) -> Result<(), Never> {
        self.writer.out.push_str(self.end);
        Ok(())
    }
}

macro_rules! wholes {
    ($($method:ident: $kind:ty),*) => {$(
        fn $method(self, number: $kind) -> Result<(), Never> {
            self.whole(number.into());
            Ok(())
        }
    )*};
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Open<'a>;
    type SerializeTuple = Open<'a>;
    type SerializeTupleStruct = Open<'a>;
    type SerializeTupleVariant = Open<'a>;
    type SerializeMap = Open<'a>;
    type SerializeStruct = Open<'a>;
    type SerializeStructVariant = Open<'a>;

    wholes!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_i8(self, number: i8) -> Result<(), Never> {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<(), Never> {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<(), Never> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<(), Never> {
        if number < 0 {
            self.out.push('-');
        }
        self.whole(number.unsigned_abs());
        Ok(())
    }

    fn serialize_f32(self, number: f32) -> Result<(), Never> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Never> {
        push_fraction(&mut self.out, number);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.out.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Never> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Never> {
        push_string(&mut self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Never> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        self.out.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Never> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        let mut object = self.open("{", "}");
        object.member(variant, value)?;
        object.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'a>, Never> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'a>, Never> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'a>, Never> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a>, Never> {
        Ok(self.variant(variant, "[", "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'a>, Never> {
        Ok(self.open("{", "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'a>, Never> {
        Ok(self.open("{", "}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a>, Never> {
        Ok(self.variant(variant, "{", "}}"))
    }
}

macro_rules! arrays {
    ($($kind:ident: $method:ident),*) => {$(
        impl $kind for Open<'_> {
            type Ok = ();
            type Error = Never;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                self.item(value)
            }

            fn end(self) -> Result<(), Never> {
                self.close()
            }
        }
    )*};
}

macro_rules! objects {
    ($($kind:ident),*) => {$(
        impl $kind for Open<'_> {
            type Ok = ();
            type Error = Never;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Never> {
                self.member(name, value)
            }

            fn end(self) -> Result<(), Never> {
                self.close()
            }
        }
    )*};
}

arrays!(SerializeSeq: serialize_element, SerializeTuple: serialize_element);

arrays!(SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);

objects!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Never;

    /// Keys are always strings here.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        self.writer.out.push(':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Never> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::Value;
    use serde_json::json;

    use super::to_string;
    use crate::util::json::number::number;

    #[test]
    fn every_shape_reads_as_serde_json_has_it() {
        #[derive(Serialize)]
        enum Kind {
            Unit,
            New(u8),
            Pair(u8, i8),
            Named { a: bool },
        }
        #[derive(Serialize)]
        struct All {
            kinds: Vec<Kind>,
            tree: Value,
            pair: (Option<u32>, Option<u32>),
            letter: char,
            unit: (),
            less: i64,
            part: [f64; 4],
            nan: f64,
        }
        let all = All {
            kinds: vec![
                Kind::Unit,
                Kind::New(1),
                Kind::Pair(2, -3),
                Kind::Named { a: true },
            ],
            tree: json!({"a": [1, -1, 0.5, -0.0, null, true, {}], "\"": "ü\n\t\u{1}\u{7f}\\", "": [[], [[]], "[", "{"]}),
            pair: (Some(7), None),
            letter: 'ß',
            unit: (),
            less: i64::MIN,
            part: [1.0, 1e300, 0.1, -2.5],
            nan: f64::NAN,
        };
        assert_eq!(to_string(&all), serde_json::to_string(&all).unwrap());
    }

    #[test]
    fn numbers_are_read_as_serde_json_reads_them() {
        for text in [
            "0",
            "-0",
            "7",
            "-7",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "1.0",
            "1e2",
            "-0.5",
        ] {
            assert_eq!(number(text), serde_json::from_str(text).ok(), "{text}");
        }
        assert_eq!(number("1e999"), None);
    }
}
