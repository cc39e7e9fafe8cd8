//! One request to one decision.
//!
//! ```text
//! request ─▶ checked ─▶ fates: no limit, unlimited, limited ─▶ charged: local cache, store ─▶ a status for each descriptor
//! ```

mod charge;
mod check;
mod count;
mod fate;
mod status;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use kit::top::{Count, Top};
use smallvec::SmallVec;

use crate::algorithm::Counting;
use crate::key::Keys;
use crate::limit::Millis;
use crate::metrics::{Metrics, RuleCounters};
use crate::respond::{self, Answers};
use crate::rules::Rules;
use crate::store::{Exhausted, Store};

pub use check::{Bounds, Malformed};
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
    /// How many exhausted limits are remembered; 0 to ask the store each time.
    pub remembered: usize,
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
    exhausted: Option<Exhausted>,
    top: Top,
    metrics: Arc<Metrics>,
}

impl Limiter {
    /// A limiter without rules yet.
    pub fn new(policy: Policy, store: Store, metrics: Arc<Metrics>) -> Self {
        let live = ArcSwap::from_pointee(Live { rules: Rules::default(), counters: Vec::new() });
        let exhausted = (policy.remembered > 0).then(|| Exhausted::new(policy.remembered));
        Self { live, policy, store, exhausted, top: Top::default(), metrics }
    }

    /// Puts rules into force: the next request sees them all.
    pub fn set_rules(&self, rules: Rules) {
        let counters = self.metrics.of_rules(&rules);
        let live = Arc::new(Live { rules, counters });
        self.live.store(Arc::clone(&live));
        self.metrics.keep_only(&live.rules);
        if let Some(exhausted) = &self.exhausted {
            exhausted.clear();
        }
        self.store.rules_changed();
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Who goes over limits most.
    pub fn top(&self, now: Millis) -> Vec<Count> {
        self.top.list(now)
    }

    /// Decides a request that came at `now`.
    pub async fn decide(&self, request: &RateLimitRequest, now: Millis) -> Result<RateLimitResponse, Malformed> {
        if let Err(malformed) = self.policy.bounds.check(request) {
            self.metrics.malformed.with_label_values(&[malformed.reason()]).inc();
            return Err(malformed);
        }
        let live = self.live.load();
        let fates = self.fates(&live, request);
        let charged = self.charge(&live, request, &fates, now).await;
        let statuses = self.statuses(&live, request, &fates, &charged, now);
        let over = statuses.iter().any(|status| status.refuses);
        if over && self.policy.shadow {
            self.metrics.global_shadow.inc();
        }
        let refused = over && !self.policy.shadow;
        if refused {
            self.metrics.refused.inc()
        } else {
            self.metrics.passed.inc()
        }
        Ok(respond::response(request, &statuses, refused, &self.policy.answers))
    }
}

/// One value for each descriptor of a request.
type PerDescriptor<T> = SmallVec<[T; 4]>;
