//! Whether a case went as it should.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::cases::Case;

/// How a case went.
#[derive(Debug)]
pub(crate) enum Fate {
    Passed,
    /// Not as the case has it, but as the list says, and for its reason.
    Listed,
    Failed(String),
}

/// Cases that go otherwise through Envoy, each with the reason: what happens instead is expected, not ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// Why; for readers.
    #[allow(dead_code, reason = "for readers")]
    why: String,
    /// What Envoy answers by itself; the firewall never sees the request.
    status: Option<u16>,
    /// The case and the rules that match instead of those it expects.
    #[serde(default)]
    without: BTreeMap<String, Vec<u32>>,
    #[serde(default)]
    cases: Vec<String>,
}

/// What is expected of a listed case.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Instead<'a> {
    Status(u16),
    /// These expected rules do not match, or these unexpected ones do.
    Differs(&'a [u32]),
}

impl Listed {
    pub(crate) fn read() -> Self {
        kit::config::parse("listed.yaml", include_str!("listed.yaml")).unwrap()
    }

    pub(crate) fn get(&self, case: &str) -> Option<Instead<'_>> {
        self.groups.iter().find_map(|group| match group.status {
            Some(status) => group.cases.iter().any(|name| name == case).then_some(Instead::Status(status)),
            None => group.without.get(case).map(|rules| Instead::Differs(rules)),
        })
    }
}

pub(crate) fn judge(case: &Case, statuses: &[Option<u16>], entries: &[&Value], listed: Option<Instead<'_>>) -> Fate {
    let rules: BTreeSet<u32> = entries.iter().flat_map(|entry| found(entry)).filter_map(rule).collect();
    let differs = differences(case, statuses, entries, &rules);
    match (listed, differs.is_empty()) {
        (None, true) => Fate::Passed,
        (None, false) => Fate::Failed(format!("{} (answered {statuses:?}, matched {rules:?})", differs.join(", "))),
        (Some(_), true) => Fate::Failed("is listed, and goes as it should: take it from the list".to_owned()),
        (Some(Instead::Status(status)), false) => {
            if entries.is_empty() && statuses.iter().all(|answer| *answer == Some(status)) {
                return Fate::Listed;
            }
            Fate::Failed(format!("is listed with {status}, and was answered {statuses:?}, matched {rules:?}"))
        }
        (Some(Instead::Differs(expected)), false) => {
            let log = case.stages.iter().map(|stage| &stage.output.log);
            let (wanted, unwanted): (BTreeSet<u32>, BTreeSet<u32>) = log.fold(Default::default(), |mut all, log| {
                all.0.extend(&log.expect_ids);
                all.1.extend(&log.no_expect_ids);
                all
            });
            let differing: BTreeSet<u32> =
                wanted.difference(&rules).chain(unwanted.intersection(&rules)).copied().collect();
            if differing == expected.iter().copied().collect() {
                return Fate::Listed;
            }
            Fate::Failed(format!("is listed with {expected:?}, and differs in {differing:?}"))
        }
    }
}

fn differences(case: &Case, statuses: &[Option<u16>], entries: &[&Value], rules: &BTreeSet<u32>) -> Vec<String> {
    let mut differs = Vec::new();
    let log: String = entries.iter().flat_map(|entry| found(entry)).map(line).collect();
    for (stage, status) in case.stages.iter().zip(statuses) {
        let (output, wanted) = (&stage.output, &stage.output.log);
        // A wrong request may be answered by ending the connection.
        let error = output.expect_error && status.is_none_or(|status| status == 400);
        if output.status.is_some() && output.status != *status && !error {
            differs.push(format!("not answered {:?}", output.status));
        }
        differs
            .extend(wanted.expect_ids.iter().filter(|id| !rules.contains(id)).map(|id| format!("{id} does not match")));
        differs.extend(wanted.no_expect_ids.iter().filter(|id| rules.contains(id)).map(|id| format!("{id} matches")));
        for (pattern, should) in [(&wanted.match_regex, true), (&wanted.no_match_regex, false)] {
            let Some(pattern) = pattern else { continue };
            if Regex::new(pattern).unwrap().is_match(&log) != should {
                differs.push(format!("the log should{} say {pattern}", if should { "" } else { " not" }));
            }
        }
        // An answer of Envoy's own says nothing of rules, unless it was wanted.
        if entries.is_empty() && output.status.is_none() && !error {
            differs.push("never got to the firewall".to_owned());
        }
    }
    differs
}

fn found(entry: &Value) -> impl Iterator<Item = &Value> {
    entry["rules"].as_array().into_iter().flatten()
}

fn rule(found: &Value) -> Option<u32> {
    u32::try_from(found["rule"].as_u64()?).ok()
}

/// A match as error logs have it.
fn line(found: &Value) -> String {
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    let data = text("data").replace('\n', "\\n").replace('\r', "\\r");
    format!("[id \"{}\"] [msg \"{}\"] [data \"{data}\"]\n", found["rule"], text("message"))
}
