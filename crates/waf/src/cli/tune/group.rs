//! Matches of one rule on one parameter of one route.

use std::collections::{BTreeMap, BTreeSet};

use coraza::Severity;

use crate::audit::{Entry, Found};
use crate::verdict::adds_up;

/// Requests in which a rule matched on a parameter.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) rule: u32,
    pub(super) parameter: &'a str,
    pub(super) route: &'a str,
    pub(super) entries: Vec<&'a Entry>,
}

/// All groups, the largest first.
pub(super) fn groups(entries: &[Entry]) -> Vec<Group<'_>> {
    let mut grouped: BTreeMap<(u32, &str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let places: BTreeSet<(u32, &str)> = entry
            .rules
            .iter()
            .filter(|found| score(found) > 0 && !adds_up(found.rule))
            .flat_map(|found| found.places.iter().map(|place| (found.rule, place.name.as_str())))
            .collect();
        for (rule, place) in places {
            grouped.entry((rule, place, entry.route.as_str())).or_default().push(entry);
        }
    }
    let mut groups: Vec<Group<'_>> = grouped
        .into_iter()
        .map(|((rule, parameter, route), entries)| Group { rule, parameter, route, entries })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.entries.len()));
    groups
}

impl Group<'_> {
    pub(super) fn clients(&self) -> usize {
        self.entries.iter().map(|entry| entry.client.as_str()).collect::<BTreeSet<_>>().len()
    }

    /// The beginning that all their paths share, in whole segments; empty when there is none.
    pub(super) fn path(&self) -> String {
        let segments = |entry: &&Entry| -> Vec<String> {
            let path = entry.target.split(['?', '…']).next().unwrap_or_default();
            path.split('/').skip(1).map(str::to_owned).collect()
        };
        let mut all = self.entries.iter().map(segments);
        let first = all.next().unwrap_or_default();
        let shared = all.fold(first, |shared, other| {
            shared.into_iter().zip(other).take_while(|(one, other)| one == other).map(|(one, _)| one).collect()
        });
        let path: String =
            shared.iter().filter(|segment| !segment.is_empty()).map(|segment| format!("/{segment}")).collect();
        path
    }

    /// Whether a request that was refused, or would have been, would be so no longer.
    pub(super) fn frees(&self, entry: &Entry, threshold: u32) -> bool {
        let refused = entry.verdict == "block" || entry.verdict == "detect";
        refused && self.others(entry).map(score).sum::<u32>() < threshold
    }

    /// Whether rules of another family match as well, which false matches seldom do.
    pub(super) fn looks_like_an_attack(&self, entry: &Entry) -> bool {
        self.others(entry).any(|found| score(found) > 0 && found.rule / 1000 != self.rule / 1000)
    }

    /// What matches besides: other rules, and this one elsewhere.
    fn others<'b>(&'b self, entry: &'b Entry) -> impl Iterator<Item = &'b Found> {
        entry
            .rules
            .iter()
            .filter(|found| !adds_up(found.rule))
            .filter(|found| found.rule != self.rule || found.places.iter().any(|place| place.name != self.parameter))
    }
}

fn score(found: &Found) -> u32 {
    Severity::named(&found.severity).map_or(0, Severity::score)
}
