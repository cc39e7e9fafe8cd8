//! What the service is told of descriptors.

use std::collections::{BTreeMap, BTreeSet};

use envoy::{
    ValueKind,
    rls_conf::{RateLimitConfig, RateLimitDescriptor, RateLimitPolicy, RateLimitUnit},
};
use ir::{
    Gateway,
    api::ext::backend_traffic_policy::rate_limit::{RateLimitRule, RateLimitUnit as Unit},
    features::{CountingAlgorithm, GlobalRateLimit},
};

use super::entry;

/// The configuration of the rate limit service for the limits of a fleet: one for each domain, in the order of domains.
pub fn rate_limit_config(gateway: &Gateway) -> Vec<RateLimitConfig> {
    let mut domains: BTreeMap<&str, Tree> = BTreeMap::new();
    // Rules have many routes, and one set of limits: each is looked at once.
    let mut seen = BTreeSet::new();
    for limit in limits(gateway) {
        if seen.insert(std::ptr::from_ref(limit)) {
            let tree = domains.entry(&limit.domain).or_default();
            limit.rules.iter().enumerate().for_each(|(index, rule)| tree.add(limit, index, rule));
        }
    }
    let config = |(domain, tree): (&str, Tree)| RateLimitConfig {
        name: domain.to_owned(),
        domain: domain.to_owned(),
        descriptors: tree.descriptors(),
    };
    domains.into_iter().map(config).collect()
}

fn limits(gateway: &Gateway) -> impl Iterator<Item = &GlobalRateLimit> {
    gateway.routes().filter_map(|route| route.features.rate_limit.as_deref())
}

/// Descriptors that share their first entries share their first nodes.
#[derive(Default)]
struct Tree {
    children: BTreeMap<(String, Option<String>), Tree>,
    limit: Option<(RateLimitPolicy, bool)>,
    /// What the messages have no fields for.
    extension: BTreeMap<&'static str, envoy::Value>,
}

impl Tree {
    fn add(&mut self, limit: &GlobalRateLimit, index: usize, rule: &RateLimitRule) {
        let entries = entry::of_rule(limit, index, rule);
        let counting = &limit.counting;
        let end = entries.iter().fold(self, |node, entry| {
            let (key, value) = entry.key_and_value();
            // What has a value here is what stands in the rule.
            let hashed = counting.hash_values && value.is_none();
            let node = node.children.entry((key, value)).or_default();
            node.extension.extend(hashed.then(|| ("hash_value", truth())));
            node
        });
        end.extension.extend(algorithm(counting.algorithm, rule.limit.requests));
        let policy = RateLimitPolicy {
            unit: unit(rule.limit.unit).into(),
            requests_per_unit: rule.limit.requests,
            ..Default::default()
        };
        end.limit = Some((policy, rule.shadow_mode.unwrap_or_default()));
    }

    fn descriptors(self) -> Vec<RateLimitDescriptor> {
        let descriptor = |((key, value), tree): ((String, Option<String>), Tree)| {
            let (rate_limit, shadow_mode) = tree.limit.clone().unzip();
            let metadata = (!tree.extension.is_empty()).then(|| metadata(&tree.extension));
            RateLimitDescriptor {
                key,
                value: value.unwrap_or_default(),
                rate_limit,
                shadow_mode: shadow_mode.unwrap_or_default(),
                metadata,
                descriptors: tree.descriptors(),
                ..Default::default()
            }
        };
        self.children.into_iter().map(descriptor).collect()
    }
}

/// The key under which our service finds what the messages have no fields for; others pass it over.
const EXTENSION: &str = "portcullis.dev/ratelimit";

fn algorithm(algorithm: CountingAlgorithm, requests: u32) -> Vec<(&'static str, envoy::Value)> {
    let named = |name: &str| ("algorithm", value(ValueKind::StringValue(name.to_owned())));
    match algorithm {
        CountingAlgorithm::FixedWindow => Vec::new(),
        CountingAlgorithm::SlidingWindow => vec![named("sliding_window")],
        // A bucket that never fills again has no size.
        CountingAlgorithm::TokenBucket(burst) => {
            let burst = burst.filter(|_| requests > 0);
            let burst = burst.map(|burst| ("burst", value(ValueKind::NumberValue(burst.into()))));
            [named("token_bucket")].into_iter().chain(burst).collect()
        }
    }
}

fn metadata(extension: &BTreeMap<&'static str, envoy::Value>) -> envoy::Struct {
    let fields = extension.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let extension = value(ValueKind::StructValue(envoy::Struct { fields }));
    envoy::Struct { fields: [(EXTENSION.to_owned(), extension)].into() }
}

fn truth() -> envoy::Value {
    value(ValueKind::BoolValue(true))
}

fn value(kind: ValueKind) -> envoy::Value {
    envoy::Value { kind: Some(kind) }
}

fn unit(unit: Unit) -> RateLimitUnit {
    match unit {
        Unit::Second => RateLimitUnit::Second,
        Unit::Minute => RateLimitUnit::Minute,
        Unit::Hour => RateLimitUnit::Hour,
        Unit::Day => RateLimitUnit::Day,
        Unit::Week => RateLimitUnit::Week,
        Unit::Month => RateLimitUnit::Month,
        Unit::Year => RateLimitUnit::Year,
    }
}
