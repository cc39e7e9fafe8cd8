//! Rules as Prometheus reads them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Group, Rule};

#[derive(Serialize)]
struct File<'a> {
    groups: Vec<GroupYaml<'a>>,
}

#[derive(Serialize)]
struct GroupYaml<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<&'a str>,
    rules: Vec<RuleYaml<'a>>,
}

#[derive(Default, Serialize)]
struct RuleYaml<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a str>,
    expr: String,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    lasting: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
}

pub(super) fn text<'a>(groups: &'a [Group]) -> String {
    let group = |Group { name, interval, rules }: &'a Group| GroupYaml {
        name,
        interval: interval.as_deref(),
        rules: rules.iter().map(rule).collect(),
    };
    let file = File { groups: groups.iter().map(group).collect() };
    serde_saphyr::to_string(&file).expect("strings, lists and maps of them are YAML")
}

fn rule(rule: &Rule) -> RuleYaml<'_> {
    match rule {
        Rule::Record(record) => {
            RuleYaml { record: Some(record.metric.name()), expr: record.is.to_string(), ..RuleYaml::default() }
        }
        Rule::Alert(alert) => RuleYaml {
            alert: Some(&alert.name),
            expr: alert.condition.to_string(),
            lasting: alert.lasting.as_deref(),
            labels: alert.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            annotations: alert.annotations.iter().map(|(name, text)| (*name, text.as_str())).collect(),
            ..RuleYaml::default()
        },
    }
}
