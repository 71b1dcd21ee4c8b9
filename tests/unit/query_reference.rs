//! Queries on parsed values, as plain as they can be.

use std::cmp::Ordering;

use super::query_support::Entity;
use serde_json::{Map, Value};

pub fn order(a: &Value, b: &Value) -> Ordering {
    let class = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .unwrap()
            .partial_cmp(&b.as_f64().unwrap())
            .unwrap(),
        (Value::String(a), Value::String(b)) => a.chars().cmp(b.chars()),
        (Value::Array(a), Value::Array(b)) => {
            let items = a.iter().zip(b).map(|(a, b)| order(a, b));
            items
                .fold(Ordering::Equal, Ordering::then)
                .then(a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let sorted = |map: &Map<String, Value>| {
                let mut members: Vec<_> = map.clone().into_iter().collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                members
            };
            let (a, b) = (sorted(a), sorted(b));
            let members = a
                .iter()
                .zip(&b)
                .map(|(a, b)| a.0.cmp(&b.0).then(order(&a.1, &b.1)));
            members
                .fold(Ordering::Equal, Ordering::then)
                .then(a.len().cmp(&b.len()))
        }
        _ => class(a).cmp(&class(b)),
    }
}

fn get(entity: &Map<String, Value>, path: &str) -> Value {
    let mut parts = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => parts.push(String::new()),
            '\\' => parts.last_mut().unwrap().push(chars.next().unwrap()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    let mut value = Value::Object(entity.clone());
    for part in parts {
        value = match value {
            Value::Object(map) => map.get(&part).cloned().unwrap_or_default(),
            Value::Array(items) => {
                let index = part
                    .parse::<usize>()
                    .ok()
                    .filter(|index| index.to_string() == part);
                index
                    .and_then(|index| items.get(index).cloned())
                    .unwrap_or_default()
            }
            _ => Value::Null,
        };
    }
    value
}

fn near(value: &Value, place: &Value) -> bool {
    let angle = |value: &Value, name: &str| value[name].as_f64().map(f64::to_radians);
    let (Some(a), Some(b)) = (angle(value, "latitude"), angle(value, "longitude")) else {
        return false;
    };
    if a.abs().to_degrees() > 90.0 || b.abs().to_degrees() > 180.0 {
        return false;
    }
    let (c, d) = (
        angle(place, "latitude").unwrap(),
        angle(place, "longitude").unwrap(),
    );
    let haversine =
        ((a - c) / 2.0).sin().powi(2) + a.cos() * c.cos() * ((b - d) / 2.0).sin().powi(2);
    2.0 * 6_371_008.8 * haversine.sqrt().min(1.0).asin() <= place["metres"].as_f64().unwrap() + 1e-6
}

fn holds(filter: &Map<String, Value>, entity: &Map<String, Value>) -> bool {
    let all = |value: &Value| -> Vec<bool> {
        let nodes = value.as_array().unwrap().iter();
        nodes
            .map(|node| holds(node.as_object().unwrap(), entity))
            .collect()
    };
    if let Some(nodes) = filter.get("and") {
        return all(nodes).iter().all(|holds| *holds);
    }
    if let Some(nodes) = filter.get("or") {
        return all(nodes).iter().any(|holds| *holds);
    }
    if let Some(node) = filter.get("not") {
        return !holds(node.as_object().unwrap(), entity);
    }
    let value = get(entity, filter["field"].as_str().unwrap());
    filter
        .iter()
        .filter(|(name, _)| *name != "field")
        .all(|(name, operand)| {
            let equal = |a: &Value, b: &Value| order(a, b).is_eq();
            let among = |value: &Value| {
                operand
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|one| equal(value, one))
            };
            let alike =
                |operand: &Value| std::mem::discriminant(operand) == std::mem::discriminant(&value);
            let text = || value.as_str().zip(operand.as_str());
            match name.as_str() {
                "equals" => equal(&value, operand),
                "notEquals" => !equal(&value, operand),
                "greaterThan" => alike(operand) && order(&value, operand).is_gt(),
                "greaterThanOrEqual" => alike(operand) && order(&value, operand).is_ge(),
                "lessThan" => alike(operand) && order(&value, operand).is_lt(),
                "lessThanOrEqual" => alike(operand) && order(&value, operand).is_le(),
                "between" => {
                    alike(&operand[0])
                        && order(&value, &operand[0]).is_ge()
                        && order(&value, &operand[1]).is_le()
                }
                "isIn" => among(&value),
                "isNotIn" => !among(&value),
                "isNull" => value.is_null() == operand.as_bool().unwrap(),
                "contains" => text().is_some_and(|(text, part)| text.contains(part)),
                "containsIgnoreCase" => text()
                    .is_some_and(|(text, part)| text.to_lowercase().contains(&part.to_lowercase())),
                "startsWith" => text().is_some_and(|(text, part)| text.starts_with(part)),
                "endsWith" => text().is_some_and(|(text, part)| text.ends_with(part)),
                "arrayContains" => value
                    .as_array()
                    .is_some_and(|items| items.iter().any(|item| equal(item, operand))),
                "arrayContainsAny" => value
                    .as_array()
                    .is_some_and(|items| items.iter().any(among)),
                "withinDistance" => near(&value, operand),
                other => panic!("{other}"),
            }
        })
}

fn compare(keys: &Value, a: &Entity, b: &Entity) -> Ordering {
    let empty = Vec::new();
    let keys = keys.as_array().unwrap_or(&empty);
    let (left, right) = (a.parsed(), b.parsed());
    for key in keys {
        let field = key["field"].as_str().unwrap();
        let (x, y) = (get(&left, field), get(&right, field));
        let nulls = key.get("nulls").filter(|_| x.is_null() != y.is_null());
        let found = match nulls.and_then(Value::as_str) {
            Some(place) if x.is_null() == (place == "first") => Ordering::Less,
            Some(_) => Ordering::Greater,
            None if key["descending"] == true => order(&y, &x),
            None => order(&x, &y),
        };
        if found.is_ne() {
            return found;
        }
    }
    let identity = |entity: &Entity| (entity.id.clone(), entity.space.clone());
    let tie = identity(a).cmp(&identity(b));
    if keys.last().is_some_and(|key| key["descending"] == true) {
        tie.reverse()
    } else {
        tie
    }
}

/// An entity's id and space.
pub type Name = (String, Option<String>);

/// All entities that satisfy the conditions, in order.
pub fn reference_names(query: &str, entities: &[Entity]) -> Vec<Name> {
    let query: Value = serde_json::from_str(query).unwrap();
    let mut found: Vec<&Entity> = entities
        .iter()
        .filter(|entity| !entity.deleted || query["includeDeleted"] == true)
        .filter(|entity| {
            let filter = query["where"].as_object();
            filter.is_none_or(|filter| holds(filter, &entity.parsed()))
        })
        .collect();
    found.sort_by(|a, b| compare(&query["orderBy"], a, b));
    let name = |entity: &Entity| (entity.id.clone(), entity.space.clone());
    found.into_iter().map(name).collect()
}

/// Those that `offset` and `limit` leave of all.
pub fn window<T>(query: &str, all: Vec<T>) -> Vec<T> {
    let query: Value = serde_json::from_str(query).unwrap();
    let limit = query["limit"].as_u64();
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    let offset = query["offset"].as_u64().unwrap_or_default() as usize;
    all.into_iter().skip(offset).take(limit).collect()
}

/// The ids of all entities that satisfy the conditions, in order.
pub fn reference(query: &str, entities: &[Entity]) -> Vec<String> {
    let names = reference_names(query, entities).into_iter();
    names.map(|(id, _)| id).collect()
}

/// The same, without what `offset` and `limit` leave out.
pub fn reference_page(query: &str, entities: &[Entity]) -> Vec<String> {
    window(query, reference(query, entities))
}
