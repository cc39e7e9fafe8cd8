//! The language of the rules, as it is written: that of the reference, and a few fields more.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::limit::Algorithm;

/// Every field of the language. The reference takes each of them anywhere and reads it where it belongs.
pub const FIELDS: [&str; 19] = [
    "algorithm",
    "burst",
    "descriptors",
    "detailed_metric",
    "domain",
    "hash_value",
    "key",
    "metadata",
    "name",
    "quota_mode",
    "rate_limit",
    "replaces",
    "requests_per_unit",
    "shadow_mode",
    "share_threshold",
    "unit",
    "unlimited",
    "value",
    "value_to_metric",
];

/// One file: rules of one domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Domain {
    /// The domain that Envoy's filter names.
    #[serde(deserialize_with = "kit::config::text")]
    pub domain: String,
    /// The first entries.
    pub descriptors: Vec<Descriptor>,
}

/// An entry of descriptors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Descriptor {
    /// The entry's key.
    #[serde(deserialize_with = "kit::config::text")]
    pub key: String,
    /// Its value; with `*` for any text; empty for any value that no other entry has.
    #[serde(deserialize_with = "kit::config::text")]
    pub value: String,
    /// The limit of descriptors that end here.
    pub rate_limit: Option<RateLimit>,
    /// The entries that may follow.
    pub descriptors: Vec<Descriptor>,
    /// Only count, and let through.
    pub shadow_mode: bool,
    /// Let through, and say in the response's metadata that the limit is reached.
    pub quota_mode: bool,
    /// Keep metrics apart by the values of all entries.
    pub detailed_metric: bool,
    /// Keep metrics apart by the values of this entry.
    pub value_to_metric: bool,
    /// Count all values that match the wildcard together.
    pub share_threshold: bool,
    /// What a match adds to the response's dynamic metadata.
    pub metadata: Map<String, Value>,
    /// Put only a hash of the value into the store. (Not in the reference.)
    pub hash_value: bool,
}

/// A limit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RateLimit {
    /// How many.
    pub requests_per_unit: u32,
    /// In which time: `second` to `year`, or a duration such as `90s`. (Durations are not in the reference.)
    #[serde(deserialize_with = "kit::config::text")]
    pub unit: String,
    /// Whether there is no limit.
    pub unlimited: bool,
    /// A name, for `replaces` and for metrics.
    #[serde(deserialize_with = "kit::config::text")]
    pub name: String,
    /// Rules that do not apply where this one does.
    pub replaces: Vec<Replaces>,
    /// How hits are counted. (Not in the reference.)
    pub algorithm: Algorithm,
    /// The size of the token bucket; `requests_per_unit` unless set. (Not in the reference.)
    pub burst: Option<u32>,
}

/// A rule that does not apply, by its name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Replaces {
    /// The name.
    #[serde(deserialize_with = "kit::config::text")]
    pub name: String,
}
