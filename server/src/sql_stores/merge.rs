//! The order of the rows of some entity types.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::future::Future;

use crate::rules::store::Result;

/// A store's index of entity types.
pub(crate) trait Ranges: Send {
    /// Returns up to `most` versions of each of these types, the first ones after a version, each
    /// with the place in `asked` of its type.
    fn read(
        &mut self,
        asked: &[(&str, u64)],
        most: usize,
    ) -> impl Future<Output = Result<Vec<(usize, u64)>>> + Send;
}

/// The versions of one type that were read and not taken yet, in order.
#[derive(Debug)]
struct Ahead {
    versions: VecDeque<u64>,
    /// The last version that was read.
    last: u64,
    /// How many versions to read next; 0 if there are no more.
    chunk: usize,
}

/// Returns the versions of the first `limit` rows of these types, and one more if there is one.
///
/// A merge of one range of the index for each type. Each is read ahead a little, and more where it
/// turns out to have more: in all little more than the result, however the rows are spread.
pub(crate) async fn first_versions(
    ranges: &mut impl Ranges,
    entities: &[String],
    after: u64,
    limit: usize,
) -> Result<Vec<u64>> {
    let wanted = limit.saturating_add(1);
    let chunk = wanted.div_ceil(entities.len().max(1)).max(8);
    let ahead = || Ahead {
        versions: VecDeque::new(),
        last: after,
        chunk,
    };
    let mut types: BTreeMap<&str, Ahead> = entities
        .iter()
        .map(|entity| (entity.as_str(), ahead()))
        .collect();
    // The next version of each type.
    let mut next: BinaryHeap<Reverse<(u64, &str)>> = BinaryHeap::new();
    let mut versions = Vec::new();
    let mut empty: Vec<&str> = types.keys().copied().collect();
    loop {
        read_ahead(ranges, &mut types, &empty).await?;
        for entity in empty.drain(..) {
            next.extend(types.get_mut(entity).and_then(|ahead| take(ahead, entity)));
        }
        loop {
            let Some(Reverse((version, entity))) = next.pop() else {
                return Ok(versions);
            };
            versions.push(version);
            if versions.len() >= wanted {
                return Ok(versions);
            }
            let Some(ahead) = types.get_mut(entity) else {
                continue;
            };
            match take(ahead, entity) {
                Some(following) => next.push(following),
                None if ahead.chunk > 0 => {
                    empty.push(entity);
                    break;
                }
                None => {}
            }
        }
    }
}

fn take<'a>(ahead: &mut Ahead, entity: &'a str) -> Option<Reverse<(u64, &'a str)>> {
    Some(Reverse((ahead.versions.pop_front()?, entity)))
}

/// Reads the next versions of these types.
async fn read_ahead(
    ranges: &mut impl Ranges,
    types: &mut BTreeMap<&str, Ahead>,
    empty: &[&str],
) -> Result<()> {
    let asked: Vec<(&str, u64)> = empty
        .iter()
        .filter_map(|entity| Some((*entity, types.get(entity)?.last)))
        .collect();
    let chunks = empty.iter().filter_map(|entity| types.get(entity));
    let chunk = chunks.map(|ahead| ahead.chunk).max().unwrap_or_default();
    let mut found: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (place, version) in ranges.read(&asked, chunk).await? {
        found.entry(place).or_default().push(version);
    }
    for (place, (entity, _)) in asked.into_iter().enumerate() {
        let Some(ahead) = types.get_mut(entity) else {
            continue;
        };
        let mut versions = found.remove(&place).unwrap_or_default();
        versions.sort_unstable();
        ahead.last = versions.last().copied().unwrap_or(ahead.last);
        ahead.chunk = match versions.len() {
            read if read < chunk => 0,
            _ => chunk.saturating_mul(2),
        };
        ahead.versions = versions.into();
    }
    Ok(())
}
