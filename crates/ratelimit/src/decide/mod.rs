//! One request to one decision.
//!
//! ```text
//! request ─▶ checked ─▶ fates: no limit, unlimited, limited ─▶ one batch ─▶ store ─▶ a status for each descriptor
//! ```

mod check;
mod count;
mod fate;
mod status;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use smallvec::SmallVec;

use crate::algorithm::Counting;
use crate::key::Keys;
use crate::limit::Millis;
use crate::metrics::{Metrics, RuleCounters};
use crate::respond::{self, Answers};
use crate::rules::Rules;
use crate::store::{Batch, Readings, Store};

pub use check::{Bounds, Malformed};
use fate::Fate;
pub use status::Status;

/// How requests are decided, beside the rules.
#[derive(Debug, Default)]
pub struct Policy {
    /// What counts when a request is refused.
    pub counting: Counting,
    /// Let everything through, and only count.
    pub shadow: bool,
    /// Treat all rules as quotas.
    pub quota: bool,
    /// From which part of a limit on hits are near it: 0 to 1.
    pub near_ratio: f32,
    /// How large a request may be.
    pub bounds: Bounds,
    /// How keys are written.
    pub keys: Keys,
    /// What answers carry.
    pub answers: Answers,
}

/// Rules in force, with the counters of each.
#[derive(Debug)]
pub struct Live {
    /// The rules.
    pub rules: Rules,
    counters: Vec<RuleCounters>,
}

/// The service without its network side.
#[derive(Debug)]
pub struct Limiter {
    live: ArcSwap<Live>,
    policy: Policy,
    store: Store,
    metrics: Arc<Metrics>,
}

impl Limiter {
    /// A limiter without rules yet.
    pub fn new(policy: Policy, store: Store, metrics: Arc<Metrics>) -> Self {
        let live = ArcSwap::from_pointee(Live { rules: Rules::default(), counters: Vec::new() });
        Self { live, policy, store, metrics }
    }

    /// Puts rules into force: the next request sees them all.
    pub fn set_rules(&self, rules: Rules) {
        let counters = self.metrics.of_rules(&rules);
        self.live.store(Arc::new(Live { rules, counters }));
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Decides a request that came at `now`.
    pub async fn decide(&self, request: &RateLimitRequest, now: Millis) -> Result<RateLimitResponse, Malformed> {
        if let Err(malformed) = self.policy.bounds.check(request) {
            self.metrics.malformed.with_label_values(&[malformed.reason()]).inc();
            return Err(malformed);
        }
        let live = self.live.load();
        let fates = self.fates(&live, request);
        let batch = self.batch(request, &fates, now);
        let readings = if batch.charges().is_empty() { Readings::new() } else { self.store.charge(&batch).await };
        let statuses = self.statuses(&live, request, &fates, &batch, &readings);
        let over = statuses.iter().any(|status| status.refuses);
        if over && self.policy.shadow {
            self.metrics.global_shadow.inc();
        }
        let refused = over && !self.policy.shadow;
        self.metrics.requests.with_label_values(&[if refused { "over_limit" } else { "ok" }]).inc();
        Ok(respond::response(request, &statuses, refused, &self.policy.answers))
    }

    fn batch(&self, request: &RateLimitRequest, fates: &[Fate<'_>], now: Millis) -> Batch {
        let mut batch = Batch::new(now, self.policy.counting);
        for (descriptor, fate) in request.descriptors.iter().zip(fates) {
            if let Fate::Limited(limited) = fate {
                batch.push(limited.limit, limited.hits, self.enforces(limited), |key| {
                    self.policy.keys.write(key, &request.domain, descriptor, &limited.steps, &limited.limit);
                });
            }
        }
        batch
    }

    /// Whether going over refuses the request.
    fn enforces(&self, limited: &fate::Limited<'_>) -> bool {
        let lenient = limited.rule.is_some_and(|rule| rule.shadow || rule.quota);
        !lenient && !self.policy.shadow && !self.policy.quota
    }
}

/// One value for each descriptor of a request.
type PerDescriptor<T> = SmallVec<[T; 4]>;
