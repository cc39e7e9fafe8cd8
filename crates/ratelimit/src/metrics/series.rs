//! The series of rules: one for each rule in force, and where rules ask for it one for each value, as far as there is room.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use kit::metrics::counters;
use prometheus::{IntCounter, IntCounterVec, Registry};

use super::Name;
use crate::rules::{Rule, Rules};

/// How many labels of a domain may be made of values.
pub const MOST_VALUES: usize = 1000;
/// Longer labels are not made of values: they may be as long as a request's headers.
const LONGEST: usize = 256;
/// The label of values for which there is no room.
const OTHER: &str = "other";
/// The label of limits that requests bring themselves.
const OVERRIDE: &str = "override";

/// The series of all rules, by domain and label.
#[derive(Debug)]
pub(super) struct Series {
    vectors: [IntCounterVec; 6],
    known: RwLock<HashMap<Box<str>, Domain>>,
}

/// The labels of a domain.
#[derive(Debug, Default)]
struct Domain {
    rules: HashSet<Box<str>>,
    values: HashMap<Box<str>, Value>,
}

/// A label that is made of values.
#[derive(Debug)]
struct Value {
    /// The rule's place in the tree.
    path: Box<str>,
    counters: RuleCounters,
}

/// The counters of one rule.
#[derive(Debug, Clone)]
pub struct RuleCounters {
    /// All hits.
    pub hits: IntCounter,
    /// Hits within the limit.
    pub within: IntCounter,
    /// Hits near the limit.
    pub near: IntCounter,
    /// Hits over the limit.
    pub over: IntCounter,
    /// Those of them that the local cache knew of.
    pub over_cached: IntCounter,
    /// Those of them that shadow mode let through.
    pub shadow: IntCounter,
}

impl Series {
    pub(super) fn register(registry: &Registry) -> Self {
        let names = [Name::Hits, Name::Within, Name::Near, Name::Over, Name::OverCached, Name::Shadow];
        Self { vectors: names.map(|name| counters(registry, name)), known: RwLock::default() }
    }

    /// The counters of all rules, by their index.
    pub(super) fn of_rules(&self, rules: &Rules) -> Vec<RuleCounters> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let counters = |rule: &Rule| {
            known.entry(rule.domain.clone()).or_default().rules.insert(rule.label().into());
            self.labelled(&rule.domain, rule.label())
        };
        rules.all().iter().map(counters).collect()
    }

    /// Forgets the series of rules that are not among these.
    pub(super) fn keep_only(&self, rules: &Rules) {
        let mut kept: HashMap<&str, (HashSet<&str>, HashSet<&str>)> = HashMap::new();
        for rule in rules.all() {
            let (labels, paths) = kept.entry(&rule.domain).or_default();
            labels.insert(rule.label());
            paths.insert(&rule.path);
        }
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|name, domain| {
            let Some((labels, paths)) = kept.get(&**name) else {
                let values = domain.values.keys().chain(&domain.rules).map(AsRef::as_ref);
                values.chain([OTHER, OVERRIDE]).for_each(|label| self.remove(name, label));
                return false;
            };
            let gone = domain.values.extract_if(|_, value| !paths.contains(&*value.path)).map(|(label, _)| label);
            let gone: Vec<_> = gone.chain(domain.rules.extract_if(|label| !labels.contains(&**label))).collect();
            let used = |label: &str| domain.values.contains_key(label) || labels.contains(label);
            gone.iter().filter(|label| !used(label)).for_each(|label| self.remove(name, label));
            true
        });
    }

    /// The counters of a rule whose label is made of values of descriptors.
    pub(super) fn of_values(&self, rule: &Rule, label: &str) -> RuleCounters {
        if label.len() <= LONGEST {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let values = known.get(&rule.domain).map(|domain| &domain.values);
            if let Some(value) = values.and_then(|values| values.get(label)) {
                return value.counters.clone();
            }
            let room = values.is_none_or(|values| values.len() < MOST_VALUES);
            drop(known);
            if let Some(counters) = room.then(|| self.admit(rule, label)).flatten() {
                return counters;
            }
        }
        self.labelled(&rule.domain, OTHER)
    }

    pub(super) fn of_overrides(&self, domain: &str) -> RuleCounters {
        self.labelled(domain, OVERRIDE)
    }

    fn admit(&self, rule: &Rule, label: &str) -> Option<RuleCounters> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let values = &mut known.entry(rule.domain.clone()).or_default().values;
        if values.len() >= MOST_VALUES && !values.contains_key(label) {
            return None;
        }
        let make = || Value { path: rule.path.clone(), counters: self.labelled(&rule.domain, label) };
        Some(values.entry(label.into()).or_insert_with(make).counters.clone())
    }

    fn labelled(&self, domain: &str, rule: &str) -> RuleCounters {
        let [hits, within, near, over, over_cached, shadow] =
            self.vectors.each_ref().map(|vector| vector.with_label_values(&[domain, rule]));
        RuleCounters { hits, within, near, over, over_cached, shadow }
    }

    fn remove(&self, domain: &str, rule: &str) {
        for vector in &self.vectors {
            // An error says that nothing was counted there.
            let _ = vector.remove_label_values(&[domain, rule]);
        }
    }
}

#[cfg(test)]
mod tests {
    use kit::metrics::Described as _;

    use super::*;

    const RULES: &str = "
domain: edge
descriptors:
- key: address
  detailed_metric: true
  rate_limit: {unit: minute, requests_per_unit: 1}
- key: user
  rate_limit: {unit: minute, requests_per_unit: 1}
---
domain: other
descriptors:
- key: address
  detailed_metric: true
  rate_limit: {unit: minute, requests_per_unit: 1}
";

    fn rules(text: &str) -> Rules {
        crate::rules::read(&[("r.yaml".to_owned(), text.to_owned())]).unwrap().rules
    }

    /// The labels of all series, by domain.
    fn labels(registry: &Registry) -> Vec<String> {
        let (name, ..) = Name::Hits.describe();
        let families = registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        metrics.map(|metric| metric.get_label().iter().map(|pair| pair.value()).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn labels_of_values_are_bounded_in_each_domain() {
        let (registry, rules) = (Registry::new(), rules(RULES));
        let series = Series::register(&registry);
        let (one, other) = (&rules.all()[0], &rules.all()[2]);
        for number in 0..MOST_VALUES + 50 {
            series.of_values(one, &format!("address_{number}")).hits.inc();
        }
        assert_eq!(series.labelled("edge", OTHER).hits.get(), 50);
        series.of_values(one, "address_3").hits.inc();
        assert_eq!(series.labelled("edge", "address_3").hits.get(), 2);
        // The other domain has room of its own; a value without an end has none anywhere.
        series.of_values(other, "address_x").hits.inc();
        series.of_values(other, &format!("address_{}", "x".repeat(LONGEST))).hits.inc();
        assert_eq!(series.labelled("other", "address_x").hits.get(), 1);
        assert_eq!(series.labelled("other", OTHER).hits.get(), 1);
    }

    #[test]
    fn beyond_the_bound_nobody_waits_for_a_writer() {
        let (series, rules) = (Series::register(&Registry::new()), rules(RULES));
        for number in 0..MOST_VALUES {
            series.of_values(&rules.all()[0], &number.to_string());
        }
        let _reader = series.known.read().unwrap();
        series.of_values(&rules.all()[0], "one more").hits.inc();
        assert_eq!(series.labelled("edge", OTHER).hits.get(), 1);
    }

    #[test]
    fn series_go_with_their_rules() {
        let (registry, all) = (Registry::new(), rules(RULES));
        let series = Series::register(&registry);
        series.of_rules(&all);
        for rule in [&all.all()[0], &all.all()[2]] {
            series.of_values(rule, "address_x").hits.inc();
        }
        series.of_overrides("other").hits.inc();
        assert_eq!(labels(&registry).len(), 6);
        let fewer = rules(RULES.split("- key: user").next().unwrap());
        series.of_rules(&fewer)[0].hits.inc();
        series.keep_only(&fewer);
        assert_eq!(labels(&registry), ["edge address", "edge address_x"]);
        let none = rules("{domain: edge, descriptors: [{key: user, rate_limit: {unlimited: true}}]}");
        series.of_rules(&none);
        series.keep_only(&none);
        assert_eq!(labels(&registry), ["edge user"]);
    }
}
