//! The module's constants in memory, and the part that each one belongs to.
//!
//! Only the linker knows for certain where an address stands in code and in data, and whose it is: with
//! `--emit-relocs` it lists them. wasm-opt drops the list, and folds addresses into other numbers. So
//! the module is optimised twice: as it is, and with the addresses in its code moved, those of each
//! object by a distance of its own. A number that differs between the two is an address, and the
//! difference says of which object.

mod addresses;
mod linked;
mod segments;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde_json::{Value, json};

use crate::failure::{Because, Result};

pub use addresses::find;
pub use linked::read;
pub use segments::Segments;

/// Something in memory that never changes, from one byte to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub range: Range<u32>,
    /// The objects whose addresses it has.
    pub names: BTreeSet<usize>,
    /// Whether something that can change has its address, so that it belongs to the first part.
    pub is_first: bool,
}

impl Object {
    fn new(range: Range<u32>) -> Self {
        Self {
            range,
            names: BTreeSet::new(),
            is_first: false,
        }
    }
}

/// The objects that each number may be an address of. A number that is an address in one place and
/// something else in another counts as an address in both.
pub type Addresses = BTreeMap<u32, BTreeSet<usize>>;

/// The objects of a module, in the order of their places, and their addresses in its code. What is not in
/// an object belongs to the first part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    pub list: Vec<Object>,
    pub addresses: Addresses,
}

impl Objects {
    /// Returns the objects as text.
    pub fn json(&self) -> Value {
        let object = |object: &Object| {
            let Range { start, end } = object.range;
            json!([start, end, object.is_first, object.names])
        };
        let addresses: Vec<_> = self.addresses.iter().collect();
        json!({ "list": self.list.iter().map(object).collect::<Vec<_>>(), "addresses": addresses })
    }

    /// Reads what [`Self::json`] has written.
    pub fn parse(text: &str) -> Result<Self> {
        let reading = "reading the objects of the module";
        let value: Value = serde_json::from_str(text).because(reading)?;
        let list = array(value.get("list")).and_then(|list| list.iter().map(object).collect());
        let addresses = array(value.get("addresses"))
            .and_then(|addresses| addresses.iter().map(address).collect());
        Ok(Self {
            list: list.because(reading)?,
            addresses: addresses.because(reading)?,
        })
    }
}

fn array(value: Option<&Value>) -> Option<&[Value]> {
    value.and_then(Value::as_array).map(Vec::as_slice)
}

fn object(value: &Value) -> Option<Object> {
    let [start, end, is_first, names] = array(Some(value))? else {
        return None;
    };
    Some(Object {
        range: number(start)?..number(end)?,
        names: indices(names)?,
        is_first: is_first.as_bool()?,
    })
}

fn address(value: &Value) -> Option<(u32, BTreeSet<usize>)> {
    let [address, objects] = array(Some(value))? else {
        return None;
    };
    Some((number(address)?, indices(objects)?))
}

fn number(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn indices(value: &Value) -> Option<BTreeSet<usize>> {
    let index = |value: &Value| usize::try_from(value.as_u64()?).ok();
    array(Some(value))?.iter().map(index).collect()
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod location_tests;
#[cfg(test)]
mod tests;
