//! Every query of every panel and rule, asked of a Prometheus that scrapes a real run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod edge;
mod figures;
mod house;
mod life;
mod settings;

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

/// The queries of all panels, and where they are.
fn queries() -> BTreeMap<String, String> {
    let of_board = |board: grafana_dashboard_builder::Dashboard| {
        let title = board.title().trim_start_matches("Portcullis / ").to_owned();
        let queries: Vec<_> = board.queries().map(|(place, query)| (place, as_sent(&query.to_string()))).collect();
        queries.into_iter().map(move |(place, query)| (format!("{title}, {place}"), query))
    };
    boards::all().into_iter().flat_map(of_board).collect()
}

/// All rules, evaluated as often as the figures come.
fn rules() -> Vec<String> {
    let rules = files().unwrap().into_iter().filter(|(path, _)| path.contains("/rules/"));
    rules
        .map(|(_, text)| text.replace("interval: 30s", "interval: 1s").replace("interval: 5m", "interval: 1s"))
        .collect()
}

/// Those of the queries that find nothing.
async fn without_data(house: &House, queries: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut empty = BTreeMap::new();
    for (place, query) in queries {
        let found = house.prometheus.query(&query).await.unwrap_or_else(|error| panic!("{place}: {error:#}"));
        if found.is_empty() {
            empty.insert(place, query);
        }
    }
    empty
}

#[tokio::test]
async fn figures_are_exact_every_panel_has_data_and_every_rule_can_be_evaluated() {
    let mut house = House::start(&rules()).await.unwrap_or_else(|error| panic!("{error:#}"));
    figures::assert_exact(&house).await;
    let inside = life::people(&house).await.unwrap();
    life::traffic(&house).await.unwrap();
    life::faults(&mut house, inside).await.unwrap();

    let mut left = queries();
    assert!(left.len() > 200, "{}", left.len());
    let end = Instant::now() + PATIENCE;
    while !left.is_empty() && Instant::now() < end {
        life::traffic(&house).await.unwrap();
        left = without_data(&house, left).await;
    }
    assert!(left.is_empty(), "no data: {left:#?}\n{}", house.tail());
    assert_rules_work(&house).await;
}

/// Alerts that should wait or fire: what they are about is part of the run.
const ALARMS: [&str; 10] = [
    "PortcullisNoHealthyEndpoint",
    "PortcullisBackendWithoutEndpoints",
    "PortcullisEnvoyDisconnected",
    "PortcullisEnvoyRejectsConfiguration",
    "PortcullisResourceNotAccepted",
    "PortcullisConfigurationNotUsable",
    "PortcullisRateLimitErrors",
    "PortcullisRateLimitFailsOpen",
    "PortcullisRateLimitStoreDown",
    "PortcullisSessionStoreDown",
];

/// No rule fails, and those fire that should.
async fn assert_rules_work(house: &House) {
    let awake = async || {
        // Some alerts are of requests that fail.
        life::traffic(house).await.ok()?;
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
