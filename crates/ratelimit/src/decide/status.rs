//! How each descriptor stands after the charge.

use envoy::Struct;
use envoy::service::ratelimit::RateLimitRequest;

use super::charge::Charged;
use super::fate::{Fate, Limited};
use super::{Limiter, Live, PerDescriptor};
use crate::algorithm::Reading;
use crate::limit::{Limit, Millis};

/// How a descriptor stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Status<'r> {
    /// The limit with its name; none where nothing limits.
    pub limit: Option<(Limit, &'r str)>,
    /// Whether a rule says that there is no limit.
    pub unlimited: bool,
    /// Whether it is over and refuses the request, unless everything is let through.
    pub refuses: bool,
    /// Whether it is over a quota, which lets through.
    pub over_quota: bool,
    /// Whether its rule is a quota.
    pub quota: bool,
    /// Hits that are left.
    pub remaining: u32,
    /// Until the limit is whole again.
    pub reset: Millis,
    /// Until the same hits would be admitted.
    pub retry: Millis,
    /// What its rule adds to the response.
    pub metadata: Option<&'r Struct>,
}

impl Limiter {
    pub(super) fn statuses<'r>(
        &self,
        live: &'r Live,
        request: &RateLimitRequest,
        fates: &[Fate<'r>],
        charged: &[Charged],
        now: Millis,
    ) -> PerDescriptor<Status<'r>> {
        let mut charged = charged.iter();
        let status = |(index, fate): (usize, &Fate<'r>)| match fate {
            Fate::Free => Status::default(),
            Fate::Unlimited(rule) => {
                Status { unlimited: true, remaining: u32::MAX, metadata: rule.metadata.as_ref(), ..Status::default() }
            }
            Fate::Limited(limited) => {
                let charged = charged.next().expect("every limited descriptor is charged");
                self.count(live, request, index, limited, charged);
                self.note_offender(request, index, limited, &charged.reading, now);
                self.status(limited, &charged.reading)
            }
        };
        fates.iter().enumerate().map(status).collect()
    }

    fn status<'r>(&self, limited: &Limited<'r>, reading: &Reading) -> Status<'r> {
        let Limited { limit, rule, .. } = limited;
        let over = reading.over;
        let (shadow, quota) = rule.map_or((false, false), |rule| (rule.shadow, rule.quota));
        let quota_applies = quota || self.policy.quota;
        let left = reading.capacity.saturating_sub(reading.after);
        Status {
            limit: Some((*limit, rule.map_or("", |rule| &rule.name))),
            unlimited: false,
            refuses: over && !shadow && !quota_applies,
            over_quota: over && !shadow && quota_applies,
            quota,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset: reading.reset,
            retry: if over { reading.retry } else { 0 },
            metadata: rule.and_then(|rule| rule.metadata.as_ref()),
        }
    }
}
