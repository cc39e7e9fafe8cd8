//! What is to become of each descriptor: no limit, no end, or a limit and hits.

use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::service::ratelimit::RateLimitRequest;
use smallvec::SmallVec;

use super::{Limiter, Live, PerDescriptor};
use crate::key::Counter;
use crate::limit::{Limit, Unit};
use crate::rules::{Rule, Step};

/// What a descriptor comes to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(super) enum Fate<'r> {
    /// No rule, or one that another replaces.
    Free,
    /// A rule without an end.
    Unlimited(&'r Rule),
    /// A limit.
    Limited(Limited<'r>),
}

/// A limit that a descriptor is charged.
#[derive(Debug)]
pub(super) struct Limited<'r> {
    /// The limit.
    pub(super) limit: Limit,
    /// Its rule; none for a limit that the request brings.
    pub(super) rule: Option<&'r Rule>,
    /// What the entries met in the tree.
    pub(super) steps: SmallVec<[Step<'r>; 6]>,
    /// Hits; fewer than none to give some back.
    pub(super) hits: i64,
}

impl Limited<'_> {
    /// What its counter's key is made from.
    pub(super) fn counter<'a>(&'a self, domain: &'a str, descriptor: &'a RateLimitDescriptor) -> Counter<'a> {
        Counter { domain, descriptor, steps: &self.steps, limit: &self.limit }
    }
}

impl<'r> Fate<'r> {
    fn rule(&self) -> Option<&'r Rule> {
        match self {
            Self::Free => None,
            Self::Unlimited(rule) => Some(rule),
            Self::Limited(limited) => limited.rule,
        }
    }
}

impl Limiter {
    pub(super) fn fates<'r>(&self, live: &'r Live, request: &RateLimitRequest) -> PerDescriptor<Fate<'r>> {
        let mut fates: PerDescriptor<Fate<'r>> = SmallVec::with_capacity(request.descriptors.len());
        let (mut replaces, mut known) = (false, true);
        for descriptor in &request.descriptors {
            let fate = fate(live, request, descriptor);
            known &= fate.is_some();
            let fate = fate.unwrap_or(Fate::Free);
            replaces |= fate.rule().is_some_and(|rule| !rule.replaces.is_empty());
            fates.push(fate);
        }
        if !known {
            self.metrics.unknown_domain.inc();
        }
        if replaces {
            replace(&mut fates);
        }
        fates
    }
}

/// `None` when the domain is unknown.
fn fate<'r>(live: &'r Live, request: &RateLimitRequest, descriptor: &RateLimitDescriptor) -> Option<Fate<'r>> {
    let found = live.rules.find(&request.domain, descriptor)?;
    let hits = hits(request, descriptor);
    if let Some(limit) = descriptor.limit {
        // A limit in the request goes before the rules, in any known domain. Its unit was checked.
        let unit = Unit::from_number(limit.unit).unwrap_or(Unit::SECOND);
        let limit = Limit::fixed(limit.requests_per_unit, unit);
        // It counts each value by itself; what the rules say of storing values holds for it too.
        let steps = found.steps.into_iter().map(Step::unshared).collect();
        return Some(Fate::Limited(Limited { limit, rule: None, steps, hits }));
    }
    let Some(rule) = found.rule else { return Some(Fate::Free) };
    Some(match rule.limit {
        None => Fate::Unlimited(rule),
        Some(limit) => Fate::Limited(Limited { limit, rule: Some(rule), steps: found.steps, hits }),
    })
}

/// The descriptor's own hits, else the request's, else one. More than any limit allows are as many as that and one more.
fn hits(request: &RateLimitRequest, descriptor: &RateLimitDescriptor) -> i64 {
    let hits = descriptor.hits_addend.unwrap_or_else(|| request.hits_addend.max(1).into());
    let hits = i64::try_from(hits.min(1 << 33)).unwrap_or(i64::MAX);
    if descriptor.is_negative_hits { -hits } else { hits }
}

/// A rule that is named in the `replaces` of another one's, also of one that is replaced itself, does not apply.
fn replace(fates: &mut [Fate<'_>]) {
    let replacing: Vec<&str> =
        fates.iter().filter_map(Fate::rule).flat_map(|rule| rule.replaces.iter().map(AsRef::as_ref)).collect();
    for fate in fates.iter_mut() {
        // What is unlimited already stays so.
        let Fate::Limited(limited) = fate else { continue };
        if limited.rule.is_some_and(|rule| !rule.name.is_empty() && replacing.contains(&rule.name.as_ref())) {
            *fate = Fate::Free;
        }
    }
}
