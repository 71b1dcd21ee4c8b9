//! Digests as JSON: by entity type, the count and the sum.

use std::collections::BTreeMap;

use datum_sync::model::digest::Digest;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

pub(super) fn serialize<S: Serializer>(
    digests: &BTreeMap<String, Digest>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let pair = |(entity, digest): (&String, &Digest)| (entity.clone(), (digest.count, digest.sum));
    let pairs: BTreeMap<String, (u64, u64)> = digests.iter().map(pair).collect();
    pairs.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Digest>, D::Error> {
    let pairs: BTreeMap<String, (u64, u64)> = BTreeMap::deserialize(deserializer)?;
    let digest = |(entity, (count, sum))| (entity, Digest { count, sum });
    Ok(pairs.into_iter().map(digest).collect())
}
