//! What a profile that extends another may do: tighten it, and loosen it only as far as the other's guardrails go.

use super::plan::{BodyPlan, Plan};
use super::spec::{Exclusion, Guardrails, Mode, RuleRange, Spec};
use super::statements;

/// What is not allowed about `plan`, made of `spec` over `base`: the field, and what is wrong with it.
pub(super) fn breaches(spec: &Spec, plan: &Plan, base: &Plan) -> Vec<(String, String)> {
    let rails = &base.guardrails;
    let mut found = Breaches { base: &base.name, list: Vec::new() };
    found.mode(plan.mode, base.mode, rails);
    let (core, under) = (&plan.core, &base.core);
    if core.version != under.version {
        found.add("coreRules.version", format!("is {}, and {} has {}", core.version, base.name, under.version));
    }
    found.at_least("coreRules.paranoia", core.paranoia.into(), under.paranoia.into());
    found.at_least("coreRules.detectParanoia", core.detect_paranoia.into(), under.detect_paranoia.into());
    found.at_most("coreRules.inboundThreshold", core.inbound_threshold.into(), under.inbound_threshold.into());
    found.at_most("coreRules.outboundThreshold", core.outbound_threshold.into(), under.outbound_threshold.into());
    found.body("requestBody", &plan.request_body, &base.request_body, rails);
    found.body("response.body", &plan.response_body, &base.response_body, rails);
    if base.responses && !plan.responses {
        found.add("response.inspect", format!("is false, and {} looks at responses", base.name));
    }
    if plan.on_failure < base.on_failure {
        found.add("onFailure", format!("is open, and {} is closed", base.name));
    }
    if spec.guardrails.is_some() {
        found.add("guardrails", "belong to profiles that extend no other".to_owned());
    }
    for (index, exclusion) in spec.exclusions.iter().enumerate() {
        found.exclusion(&format!("exclusions[{index}]"), exclusion, rails);
    }
    if !spec.before.is_empty() {
        found.add("before", "belongs to profiles that extend no other; use directives".to_owned());
    }
    found.list
}

/// What of SecLang a profile that extends `base` may not say: the line, and why.
pub(super) fn wrong_statements(text: &str, base: &Plan) -> Vec<(usize, String)> {
    match base.guardrails.own_rules {
        Some(numbers) => statements::not_harmless(text, numbers),
        None if text.trim().is_empty() => Vec::new(),
        None => vec![(1, format!("rules of its own are not allowed: {} has no guardrails.ownRules", base.name))],
    }
}

struct Breaches<'a> {
    base: &'a str,
    list: Vec<(String, String)>,
}

impl Breaches<'_> {
    fn add(&mut self, field: &str, what: String) {
        self.list.push((field.to_owned(), what));
    }

    fn mode(&mut self, mode: Mode, base: Mode, rails: &Guardrails) {
        if mode < base && !rails.modes.contains(&mode) {
            self.add("mode", format!("is weaker than that of {}, and its guardrails.modes do not allow it", self.base));
        }
    }

    fn at_least(&mut self, field: &str, value: u64, least: u64) {
        if value < least {
            self.add(field, format!("is {value}, and {} has {least}: it can only be raised", self.base));
        }
    }

    fn at_most(&mut self, field: &str, value: u64, most: u64) {
        if value > most {
            self.add(field, format!("is {value}, and {} has {most}: it can only be lowered", self.base));
        }
    }

    fn body(&mut self, field: &str, plan: &BodyPlan, base: &BodyPlan, rails: &Guardrails) {
        if base.inspect && !plan.inspect {
            self.add(&format!("{field}.inspect"), format!("is false, and {} looks at bodies", self.base));
        }
        let most = rails.max_body_limit.unwrap_or(base.limit).max(base.limit);
        self.at_most(&format!("{field}.limit"), plan.limit, most);
        self.at_least(&format!("{field}.limit"), plan.limit, base.limit);
        if plan.over_limit < base.over_limit {
            self.add(&format!("{field}.overLimit"), format!("is weaker than that of {}", self.base));
        }
        if plan.stream && !base.stream {
            self.add(
                &format!("{field}.stream"),
                format!("is true, and {} holds bodies until they are judged", self.base),
            );
        }
        for missing in base.content_types.iter().filter(|kind| !plan.content_types.contains(kind)) {
            self.add(&format!("{field}.contentTypes"), format!("lacks {missing}, which {} looks at", self.base));
        }
    }

    fn exclusion(&mut self, field: &str, exclusion: &Exclusion, rails: &Guardrails) {
        let (name, allowed) = if exclusion.parameters.is_empty() {
            ("excludeRules", &rails.exclude_rules)
        } else {
            ("excludeParameters", &rails.exclude_parameters)
        };
        // All of a collection, or what an expression says, may be as much as the whole rule.
        for parameter in exclusion.parameters.iter().filter(|text| !text.contains(':') || text.contains(":/")) {
            self.add(
                &format!("{field}.parameters"),
                format!("`{parameter}` is not one parameter, allowed: as ARGS:comment"),
            );
        }
        let within = |rules: &&RuleRange| !allowed.iter().any(|range| range.covers(**rules));
        for rules in exclusion.rules.iter().filter(within) {
            let what = format!("{rules} is not within guardrails.{name} of {}", self.base);
            self.add(&format!("{field}.rules"), what);
        }
        if !exclusion.tags.is_empty() {
            self.add(&format!("{field}.tags"), "name rules by number in a profile that extends another".to_owned());
        }
    }
}
