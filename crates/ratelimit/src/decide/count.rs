//! Metrics of a rule, split as the reference splits them: hits that crossed a line count on both sides of it.

use envoy::service::ratelimit::RateLimitRequest;

use super::charge::Charged;
use super::fate::Limited;
use super::{Limiter, Live};
use crate::algorithm::Reading;
use crate::limit::Millis;
use crate::metrics::RuleCounters;
use crate::rules::How;

impl Limiter {
    pub(super) fn count(
        &self,
        live: &Live,
        request: &RateLimitRequest,
        index: usize,
        limited: &Limited<'_>,
        charged: &Charged,
    ) {
        let Some(rule) = limited.rule else {
            return self.count_hits(&self.metrics.of_overrides(&request.domain), limited, charged);
        };
        if rule.detailed || limited.steps.iter().any(|step| step.value_to_metric()) {
            let label = label(request, index, limited, rule.detailed);
            self.count_hits(&self.metrics.of_values(rule, &label), limited, charged);
        } else {
            self.count_hits(&live.counters[rule.index], limited, charged);
        }
    }

    /// Remembers who went over, by the counter's key: what may not lie in the store is not shown either.
    pub(super) fn note_offender(
        &self,
        request: &RateLimitRequest,
        index: usize,
        limited: &Limited<'_>,
        reading: &Reading,
        now: Millis,
    ) {
        let over = u64::try_from(limited.hits).map_or(0, |hits| reading.hits_over(hits));
        if over > 0 {
            let mut key = Vec::new();
            self.policy.keys.write(&mut key, limited.counter(&request.domain, &request.descriptors[index]));
            self.top.count(&key, over, now);
        }
    }

    fn count_hits(&self, counters: &RuleCounters, limited: &Limited<'_>, charged: &Charged) {
        let reading = &charged.reading;
        let Ok(hits) = u64::try_from(limited.hits) else { return };
        counters.hits.inc_by(hits);
        let most = reading.capacity;
        let near = self.near(most);
        let (before, after) = (reading.used, reading.used.saturating_add(hits));
        if reading.over {
            let over = reading.hits_over(hits);
            counters.over.inc_by(over);
            if charged.cached {
                counters.over_cached.inc_by(hits);
            }
            if before < most {
                counters.near.inc_by(most - near.max(before));
            }
            if limited.rule.is_some_and(|rule| rule.shadow) {
                counters.shadow.inc_by(over);
            }
        } else {
            counters.within.inc_by(hits);
            if after > near {
                counters.near.inc_by(if before >= near { hits } else { after - near });
            }
        }
    }

    /// From how many hits on a limit is near.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a threshold for metrics"
    )]
    fn near(&self, most: u64) -> u64 {
        // Rounded to a float, a limit may be more than it is.
        ((most as f32 * self.policy.near_ratio).floor() as u64).min(most)
    }
}

/// The rule's path with the values that were asked for.
fn label(request: &RateLimitRequest, index: usize, limited: &Limited<'_>, detailed: bool) -> String {
    let mut label = String::new();
    for (entry, step) in request.descriptors[index].entries.iter().zip(&limited.steps) {
        if !label.is_empty() {
            label.push('.');
        }
        label.push_str(&entry.key);
        let by_value = detailed || step.value_to_metric();
        let value = match step.how {
            How::Pattern(pattern) if !by_value || step.shared().is_some() => pattern,
            How::Any if !by_value => "",
            // The value of an exact match stands in the rules; others may not be shown where they may not be stored.
            How::Pattern(_) | How::Any if step.is_hashed() => "#",
            How::Exact | How::Pattern(_) | How::Any => &entry.value,
        };
        if !value.is_empty() {
            label.push('_');
            label.push_str(value);
        }
    }
    label
}
