//! Every query of every panel and rule, asked of a Prometheus that scrapes a real run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod edge;
mod house;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dashboards::{alerts, boards, files};
use testbed::client::Request;
use testbed::wait::wait_for;

use house::House;

/// How long figures may take to come: Prometheus scrapes each second, and some rules look back over others.
const PATIENCE: Duration = Duration::from_secs(60);

/// Queries as Grafana would send them with everything chosen.
fn as_sent(query: &str) -> String {
    let ranges = [("$__rate_interval", "10s"), ("$__range", "1m")];
    let query = ranges.iter().fold(query.to_owned(), |query, (variable, range)| query.replace(variable, range));
    let names = ["cluster", "gateway", "namespace", "route", "upstream", "domain", "profile"];
    names.iter().fold(query, |query, name| query.replace(&format!("\"${name}\""), "\".*\""))
}

/// The queries of all panels that always show something, and where they are. A panel that says what stands there without data
/// may be empty: what it shows is rare.
fn queries() -> BTreeMap<String, String> {
    let mut queries = BTreeMap::new();
    for board in boards::all() {
        let json = board.build().unwrap();
        let may_be_empty = |place: &str| {
            let panels = json["panels"].as_array().unwrap();
            let title = place.split("panel `").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
            let row = place.split("row `").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
            let after = panels.iter().skip_while(|panel| panel["title"] != row);
            after
                .into_iter()
                .any(|panel| panel["title"] == title && panel["fieldConfig"]["defaults"]["noValue"].is_string())
        };
        for (place, query) in board.queries() {
            if !may_be_empty(&place) {
                queries.insert(format!("{}, {place}", board.title()), as_sent(&query.to_string()));
            }
        }
    }
    queries
}

/// All rules, evaluated as often as the figures come.
fn rules() -> Vec<String> {
    let rules = files().unwrap().into_iter().filter(|(path, _)| path.contains("/rules/"));
    rules
        .map(|(_, text)| text.replace("interval: 30s", "interval: 1s").replace("interval: 5m", "interval: 1s"))
        .collect()
}

#[tokio::test]
async fn every_panel_has_data_and_every_rule_can_be_evaluated() {
    let mut house = House::start(&rules()).await.unwrap_or_else(|error| panic!("{error:#}"));
    let mut left = queries();
    assert!(left.len() > 100, "{}", left.len());
    let end = Instant::now() + PATIENCE;
    while !left.is_empty() && Instant::now() < end {
        house.traffic().await.unwrap();
        let mut empty = BTreeMap::new();
        for (place, query) in left {
            let found = house.prometheus.query(&query).await.unwrap_or_else(|error| panic!("{place}: {error:#}"));
            if found.is_empty() {
                empty.insert(place, query);
            }
        }
        left = empty;
    }
    assert!(left.is_empty(), "no data: {left:#?}\n{}", house.tail());
    assert_rules_work(&house).await;
}

/// Alerts that should fire: a back end without end points, and an Envoy whose control plane is nobody, are part of the run.
const ALARMS: [&str; 3] =
    ["PortcullisNoHealthyEndpoint", "PortcullisBackendWithoutEndpoints", "PortcullisEnvoyDisconnected"];

/// No rule fails, and those fire that should.
async fn assert_rules_work(house: &House) {
    let awake = async || {
        // Some alerts are of requests that fail.
        house.traffic().await.ok()?;
        let rules = rules_of(house).await;
        let is_awake = |name: &&str| rules.iter().any(|rule| rule["name"] == **name && rule["state"] != "inactive");
        ALARMS.iter().all(is_awake).then_some(rules)
    };
    let rules = wait_for(&format!("alerts of {ALARMS:?}"), PATIENCE, awake).await.unwrap();
    let alerts: usize = alerts::all().iter().map(|(_, rules)| rules.alerts().count()).sum();
    assert_eq!(rules.iter().filter(|rule| rule["type"] == "alerting").count(), alerts);
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

/// The rules, as Prometheus has evaluated them last.
async fn rules_of(house: &House) -> Vec<serde_json::Value> {
    let url = format!("http://{}/api/v1/rules", house.prometheus.address());
    let answer: serde_json::Value = Request::get(&url).send().await.unwrap().json().unwrap();
    let groups = answer["data"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}
