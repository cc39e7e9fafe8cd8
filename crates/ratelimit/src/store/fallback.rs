//! Answers without the store: all is let through, all is refused, or each service admits its part of the limits.

use std::sync::Arc;

use super::memory::Memory;
use super::{Batch, Charge, Readings};
use crate::algorithm::Reading;
use crate::limit::{Limit, Millis};
use crate::metrics::Metrics;
use crate::settings::redis::OnFailure;

/// Counters for the time without the store.
const LOCAL_KEYS: usize = 100_000;
/// When clients may try again, where nothing is known.
const RETRY: Millis = 1000;

/// What is answered while the store does not answer.
#[derive(Debug)]
pub struct Fallback {
    answer: OnFailure,
    replicas: u32,
    local: Memory,
    metrics: Arc<Metrics>,
}

impl Fallback {
    /// For so many services that share the limits.
    pub fn new(answer: OnFailure, replicas: u32, metrics: &Arc<Metrics>) -> Self {
        Self { answer, replicas: replicas.max(1), local: Memory::new(LOCAL_KEYS), metrics: Arc::clone(metrics) }
    }

    /// Answers a batch; `reason` says why the store did not.
    pub fn charge(&self, batch: &Batch, reason: &str) -> Readings {
        let label = match self.answer {
            OnFailure::Allow => "allow",
            OnFailure::Deny => "deny",
            OnFailure::Local => "local",
        };
        self.metrics.fallbacks.with_label_values(&[label, reason]).inc();
        match self.answer {
            OnFailure::Allow => batch.charges().iter().map(|charge| unknown(charge, false)).collect(),
            OnFailure::Deny => batch.charges().iter().map(|charge| unknown(charge, charge.hits >= 0)).collect(),
            OnFailure::Local => self.local.charge(&batch.with_limits(|limit| self.part(limit))),
        }
    }

    /// This service's part of a limit, rounded up: no limit becomes nothing.
    fn part(&self, limit: &Limit) -> Limit {
        let of = |whole: u32| whole.div_ceil(self.replicas);
        Limit { requests: of(limit.requests), burst: of(limit.burst), ..*limit }
    }
}

fn unknown(charge: &Charge, over: bool) -> Reading {
    let capacity = charge.limit.capacity();
    let used = if over { capacity } else { 0 };
    Reading { over, capacity, used, after: used, reset: RETRY, retry: RETRY }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::algorithm::Counting;
    use crate::limit::Unit;
    use crate::store::Weight;

    #[test]
    fn who_refuses_takes_refunds() {
        let metrics = Arc::new(Metrics::register(&Registry::new()));
        let mut batch = Batch::new(0, Counting::CountAll);
        for hits in [1, 0, -1] {
            batch.push(Limit::fixed(5, Unit::MINUTE), hits, Weight::Refuses, |_| {}, |_| {});
        }
        let readings = Fallback::new(OnFailure::Deny, 1, &metrics).charge(&batch, "down");
        assert_eq!(readings.iter().map(|reading| reading.over).collect::<Vec<_>>(), [true, true, false]);
    }
}
