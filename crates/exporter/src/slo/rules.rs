//! Rules for Prometheus: how fast each budget burns, how much is left, and alerts over two windows each.
//!
//! The windows and shares of the budget are those of Google's Site Reliability Workbook (chapter 5): an alert needs both the long
//! window, so that it is no accident, and the short one, so that it ends when the burning does.

use std::fmt::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use kit::metrics::Described as _;

use super::{Goal, Objective, Promise, Route};
use crate::metrics::Name;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A file of rules for Prometheus.
    Prometheus,
    /// A PrometheusRule for the Prometheus operator.
    PrometheusRule,
    /// A file for Sloth.
    Sloth,
    /// A ServiceLevelObjective for Pyrra, one for each objective.
    Pyrra,
}

/// When an alert fires: so much of the budget is gone within the long window.
struct Burn {
    share: f64,
    long: &'static str,
    hours: f64,
    short: &'static str,
    severity: &'static str,
}

const BURNS: [Burn; 4] = [
    Burn { share: 0.02, long: "1h", hours: 1.0, short: "5m", severity: "critical" },
    Burn { share: 0.05, long: "6h", hours: 6.0, short: "30m", severity: "critical" },
    Burn { share: 0.10, long: "1d", hours: 24.0, short: "2h", severity: "warning" },
    Burn { share: 0.10, long: "3d", hours: 72.0, short: "6h", severity: "warning" },
];

/// Windows over which the share of bad requests is recorded.
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// Writes promises as YAML.
pub fn write(promises: &[Promise], format: Format) -> String {
    match format {
        Format::Prometheus => groups(promises, ""),
        Format::PrometheusRule => {
            let head = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: portcullis-slo\nspec:\n";
            format!("{head}{}", groups(promises, "  "))
        }
        Format::Sloth => documents(promises.iter().map(sloth)),
        Format::Pyrra => {
            documents(promises.iter().flat_map(|promise| promise.objectives.iter().map(|one| pyrra(promise, *one))))
        }
    }
}

fn documents(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("---\n")
}

/// A text as YAML has it: JSON's quotes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn groups(promises: &[Promise], indent: &str) -> String {
    if promises.is_empty() {
        return format!("{indent}groups: []\n");
    }
    let mut text = format!("{indent}groups:\n");
    for promise in promises {
        let Route { kind, namespace, name } = &promise.route;
        for objective in &promise.objectives {
            let name = format!("slo/{kind}/{namespace}/{name}/{}", objective.name());
            // Writing to a string does not fail.
            let _ = write!(text, "{indent}  - name: {}\n{indent}    rules:\n", quoted(&name));
            for rule in rules(promise, *objective) {
                rule.lines().for_each(|line| text += &format!("{indent}      {line}\n"));
            }
        }
    }
    text
}

fn rules(promise: &Promise, objective: Objective) -> Vec<String> {
    let labels = labels(promise, objective);
    let record = |name: &str, expression: &str| {
        format!("- record: {name}\n  expr: {}\n  labels: {labels}\n", quoted(expression))
    };
    let mut rules: Vec<String> = WINDOWS
        .iter()
        .map(|window| {
            let (bad, all) = rates(&promise.route, objective, window);
            record(&ratio(window), &format!("({bad}) / ({all})"))
        })
        .collect();
    let window = days(promise.window);
    let (bad, all) = rates(&promise.route, objective, &window);
    let budget = objective.budget();
    rules.push(record("gateway_slo:objective:ratio", &format!("vector({})", 1.0 - budget)));
    rules.push(record("gateway_slo:burn_rate:1h", &format!("{} / {budget}", series(&ratio("1h"), promise, objective))));
    rules.push(record("gateway_slo:budget_left:ratio", &format!("1 - (({bad}) / ({all})) / {budget}")));
    rules.extend(BURNS.iter().map(|burn| alert(promise, objective, burn)));
    rules
}

fn ratio(window: &str) -> String {
    format!("gateway_slo:bad_requests:ratio_rate{window}")
}

fn labels(promise: &Promise, objective: Objective) -> String {
    let Route { kind, namespace, name } = &promise.route;
    let labels = [("route_kind", kind), ("route_namespace", namespace), ("route", name), ("slo", &objective.name())];
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    format!("{{{}}}", labels.join(", "))
}

fn series(name: &str, promise: &Promise, objective: Objective) -> String {
    let matchers = matchers(&promise.route);
    format!("{name}{{{matchers}, slo={}}}", quoted(&objective.name()))
}

fn matchers(route: &Route) -> String {
    let Route { kind, namespace, name } = route;
    format!("route_kind={}, route_namespace={}, route={}", quoted(kind), quoted(namespace), quoted(name))
}

/// Bad requests and all of them, a second over this window.
fn rates(route: &Route, objective: Objective, window: &str) -> (String, String) {
    let (bad, all) = selectors(route, objective);
    let rate = |selector: &str| format!("sum(rate({selector}[{window}]))");
    match objective.goal {
        // Without any bad request there is no such series.
        Goal::Availability => (format!("{} or vector(0)", rate(&bad)), rate(&all)),
        Goal::Latency(_) => (format!("{} - {}", rate(&all), rate(&bad)), rate(&all)),
    }
}

/// For availability the bad requests, for latency those in time; and all of them.
fn selectors(route: &Route, objective: Objective) -> (String, String) {
    let matchers = matchers(route);
    match objective.goal {
        Goal::Availability => {
            let (name, ..) = Name::Requests.describe();
            (format!("{name}{{{matchers}, code_class=\"5xx\"}}"), format!("{name}{{{matchers}}}"))
        }
        Goal::Latency(time) => {
            let (name, ..) = Name::RequestSeconds.describe();
            let bound = time.as_secs_f64();
            (format!("{name}_bucket{{{matchers}, le=\"{bound:?}\"}}"), format!("{name}_count{{{matchers}}}"))
        }
    }
}

fn alert(promise: &Promise, objective: Objective, burn: &Burn) -> String {
    let hours = promise.window.as_secs_f64() / 3600.0;
    let most = burn.share * hours / burn.hours * objective.budget();
    // Beyond all requests nothing can burn.
    let most = format!("{:.6}", most.min(0.999));
    let most = most.trim_end_matches('0');
    let above = |window: &str| format!("{} > {most}", series(&ratio(window), promise, objective));
    let expression = format!("{} and {}", above(burn.long), above(burn.short));
    let Route { kind, namespace, name } = &promise.route;
    let summary = format!(
        "{kind} {namespace}/{name}: {:.0} % of the error budget for {objective} went within {}",
        burn.share * 100.0,
        burn.long
    );
    format!(
        "- alert: GatewaySloBurn\n  expr: {}\n  labels: {{severity: {}, window: {}}}\n  annotations: {{summary: {}}}\n",
        quoted(&expression),
        burn.severity,
        burn.long,
        quoted(&summary)
    )
}

fn sloth(promise: &Promise) -> String {
    let Route { kind, namespace, name } = &promise.route;
    let mut text = format!("version: prometheus/v1\nservice: {}\nslos:\n", quoted(&format!("{namespace}/{name}")));
    for objective in &promise.objectives {
        let (bad, all) = rates(&promise.route, *objective, "{{.window}}");
        let share = objective.budget().mul_add(-100.0, 100.0);
        let _ = write!(
            text,
            "  - name: {}\n    objective: {share:.3}\n    sli:\n      events:\n        error_query: {}\n        total_query: {}\n",
            quoted(&objective.name().replace('_', "-")),
            quoted(&bad),
            quoted(&all)
        );
        let alert = quoted(&format!("GatewaySloBurn {kind} {namespace}/{name}"));
        let _ = write!(
            text,
            "    alerting:\n      name: {alert}\n      page_alert: {{labels: {{severity: critical}}}}\n      \
             ticket_alert: {{labels: {{severity: warning}}}}\n"
        );
    }
    text
}

fn pyrra(promise: &Promise, objective: Objective) -> String {
    let Route { kind, namespace, name } = &promise.route;
    let (part, all) = selectors(&promise.route, objective);
    let indicator = match objective.goal {
        Goal::Availability => ("ratio", "errors"),
        Goal::Latency(_) => ("latency", "success"),
    };
    let share = format!("{:.3}", objective.budget().mul_add(-100.0, 100.0));
    let metadata = format!("{}-{namespace}-{name}-{}", kind.to_lowercase(), objective.name().replace('_', "-"));
    format!(
        "apiVersion: pyrra.dev/v1alpha1\nkind: ServiceLevelObjective\nmetadata:\n  name: {}\nspec:\n  target: {}\n  \
         window: {}\n  indicator:\n    {}:\n      {}:\n        metric: {}\n      total:\n        metric: {}\n",
        quoted(&metadata),
        quoted(&share),
        days(promise.window),
        indicator.0,
        indicator.1,
        quoted(&part),
        quoted(&all)
    )
}

/// As Prometheus writes times: whole days where they are.
fn days(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds.is_multiple_of(86_400) { format!("{}d", seconds / 86_400) } else { format!("{seconds}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise() -> Promise {
        let route = Route { kind: "HTTPRoute".to_owned(), namespace: "shop".to_owned(), name: "cart".to_owned() };
        let (objectives, window) = crate::slo::parse("99.9% availability; 99% < 250ms; 30d", &[0.25]).unwrap();
        Promise { route, objectives, window }
    }

    #[test]
    fn rules_are_yaml_with_the_figures_of_the_workbook() {
        let text = write(&[promise()], Format::Prometheus);
        let document = kit::config::single("rules.yaml", &text).unwrap().to_json();
        let groups = document["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0]["name"], "slo/HTTPRoute/shop/cart/availability");
        let rules = groups[0]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), WINDOWS.len() + 3 + BURNS.len());
        let route = r#"route_kind="HTTPRoute", route_namespace="shop", route="cart""#;
        let all = format!("sum(rate(gateway_requests_total{{{route}}}[5m]))");
        let bad = format!(r#"sum(rate(gateway_requests_total{{{route}, code_class="5xx"}}[5m])) or vector(0)"#);
        assert_eq!(rules[0]["expr"], format!("({bad}) / ({all})"));
        let alerts: Vec<&str> =
            rules.iter().filter(|rule| !rule["alert"].is_null()).map(|rule| rule["expr"].as_str().unwrap()).collect();
        let ratio =
            |window: &str| format!(r#"gateway_slo:bad_requests:ratio_rate{window}{{{route}, slo="availability"}}"#);
        // 14.4, 6, 3 and 1 times the budget of 0.001.
        for (expression, (long, short, most)) in alerts.iter().zip([
            ("1h", "5m", "0.0144"),
            ("6h", "30m", "0.006"),
            ("1d", "2h", "0.003"),
            ("3d", "6h", "0.001"),
        ]) {
            assert_eq!(*expression, format!("{} > {most} and {} > {most}", ratio(long), ratio(short)));
        }
        let latency = groups[1]["rules"][0]["expr"].as_str().unwrap();
        assert!(latency.contains(
            r#"gateway_request_seconds_bucket{route_kind="HTTPRoute", route_namespace="shop", route="cart", le="0.25"}"#
        ));
    }

    #[test]
    fn other_forms_are_yaml_of_their_kind() {
        let read = |format| {
            let text = write(&[promise()], format);
            let documents = kit::config::documents("x.yaml", &text);
            documents.into_iter().map(|document| document.unwrap().to_json()).collect::<Vec<_>>()
        };
        let rule = &read(Format::PrometheusRule)[0];
        assert_eq!((&rule["kind"], rule["spec"]["groups"].as_array().unwrap().len()), (&"PrometheusRule".into(), 2));
        let sloth = &read(Format::Sloth)[0];
        assert_eq!((&sloth["version"], &sloth["slos"][0]["objective"]), (&"prometheus/v1".into(), &99.9.into()));
        let pyrra = read(Format::Pyrra);
        assert_eq!((pyrra.len(), &pyrra[1]["spec"]["target"]), (2, &"99.000".into()));
        assert!(
            pyrra[1]["spec"]["indicator"]["latency"]["success"]["metric"].as_str().unwrap().contains("le=\"0.25\"")
        );
        assert_eq!(write(&[], Format::Prometheus), "groups: []\n");
    }
}
