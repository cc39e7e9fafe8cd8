//! The charges of a request: what the local cache knows is not asked again, the rest is one batch for the store.

use std::sync::Arc;

use envoy::service::ratelimit::RateLimitRequest;

use super::fate::{Fate, Limited};
use super::{Limiter, Live, PerDescriptor};
use crate::algorithm::{Counting, Reading};
use crate::limit::Millis;
use crate::store::{Batch, Exhausted, Weight};

/// How a limited descriptor stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charged {
    pub(super) reading: Reading,
    /// Whether the local cache knew.
    pub(super) cached: bool,
}

impl Limiter {
    /// Charges all limits of a request; one for each descriptor that has a limit.
    pub(super) async fn charge(
        &self,
        live: &Arc<Live>,
        request: &RateLimitRequest,
        fates: &[Fate<'_>],
        now: Millis,
    ) -> PerDescriptor<Charged> {
        let mut batch = Batch::new(now, self.policy.counting);
        let mut known: PerDescriptor<Option<Reading>> = PerDescriptor::new();
        let mut refused = false;
        for (descriptor, fate) in request.descriptors.iter().zip(fates) {
            let Fate::Limited(limited) = fate else { continue };
            let weight = if self.enforces(limited) { Weight::Refuses } else { Weight::Counts };
            let (keys, limit) = (&self.policy.keys, &limited.limit);
            let counter = limited.counter(&request.domain, descriptor);
            let write = |key: &mut Vec<u8>| keys.write(key, counter);
            if keys.are_of_reference(limit) {
                let other = |key: &mut Vec<u8>| keys.write_of_reference(key, counter, now);
                batch.push_apart(*limit, limited.hits, weight, write, other);
            } else {
                batch.push(*limit, limited.hits, weight, write, |key| keys.write_window(key, limit, now));
            }
            let reading = self.exhausted.as_ref().and_then(|exhausted| exhausted.reading(&batch, batch.last()?));
            if reading.is_some() {
                batch.pop();
                refused |= weight == Weight::Refuses;
            }
            known.push(reading);
        }
        // A request that is refused already only looks at the other limits, where nothing refused may count.
        if refused && batch.counting == Counting::AllOrNothing {
            batch.look_only();
        }
        let mut fresh = self.ask_store(live, &batch).await.into_iter();
        let charged = known.into_iter().map(|known| match known {
            Some(reading) => Charged { reading, cached: true },
            None => Charged { reading: fresh.next().expect("what is not known was asked"), cached: false },
        });
        charged.collect()
    }

    async fn ask_store(&self, live: &Arc<Live>, batch: &Batch) -> crate::store::Readings {
        if batch.charges().is_empty() {
            return crate::store::Readings::new();
        }
        let refunds = self.exhausted.as_ref().map_or(0, Exhausted::refunds);
        let (readings, missing) = self.store.charge(batch).await;
        // What is learnt by rules that are not in force any more would outlive them.
        let current = || Arc::ptr_eq(live, &self.live.load());
        if let Some(exhausted) = self.exhausted.as_ref().filter(|_| current()) {
            for (index, (charge, reading)) in batch.charges().iter().zip(&readings).enumerate() {
                // What was answered without the store says nothing of it; a refund may have come there all the same.
                if charge.hits < 0 || !missing.contains(&index) {
                    exhausted.learn(refunds, batch, charge, reading);
                }
            }
        }
        readings
    }

    /// Whether going over refuses the request.
    fn enforces(&self, limited: &Limited<'_>) -> bool {
        let lenient = limited.rule.is_some_and(|rule| rule.shadow || rule.quota);
        !lenient && !self.policy.shadow && !self.policy.quota
    }
}
