//! What holds for every dashboard and alert, read from what is generated.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dashboards::{alerts, boards, files};
use serde_json::Value;

/// The top of the tree.
const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Each dashboard, and its panels, those of closed rows too.
fn panels() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for board in boards::all() {
        let json = board.build().unwrap();
        for panel in json["panels"].as_array().unwrap() {
            found.push((board.title().to_owned(), panel.clone()));
            found.extend(
                panel["panels"].as_array().into_iter().flatten().map(|inner| (board.title().to_owned(), inner.clone())),
            );
        }
    }
    found
}

#[test]
fn every_dashboard_and_rule_can_be_made() {
    let files = files().unwrap_or_else(|error| panic!("{error}"));
    let paths: BTreeSet<_> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths.len(), files.len(), "two files have one name");
    assert_eq!(files.len(), boards::all().len() + alerts::all().len() + 1, "and the page of metrics");
}

#[test]
fn generated_files_are_up_to_date() {
    for (path, content) in files().unwrap() {
        let present = fs::read_to_string(Path::new(TOP).join(&path)).unwrap_or_default();
        assert!(present == content, "{path} is out of date: run `cargo xtask gen`");
    }
}

#[test]
fn the_page_of_metrics_has_every_metric() {
    let files = files().unwrap();
    let (_, page) = files.iter().find(|(path, _)| path == "docs/metrics.md").unwrap();
    assert!(page.contains("- `oidc_check_seconds` (histogram, seconds)\\\n  Time of a check.\n"), "{page}");
    let all = [
        kit::metrics::Shared::ALL.map(described).as_slice(),
        &controller::metrics::Name::ALL.map(described),
        &exporter::metrics::Name::ALL.map(described),
        &ratelimit::metrics::Name::ALL.map(described),
        &oidc::metrics::Name::ALL.map(described),
        &waf::metrics::Name::ALL.map(described),
    ]
    .concat();
    for name in all {
        assert_eq!(page.matches(&format!("- `{name}` (")).count(), 1, "{name}");
    }
}

fn described(metric: impl kit::metrics::Described) -> &'static str {
    metric.describe().0
}

#[test]
fn panels_have_unit_and_description() {
    for (board, panel) in panels() {
        let title = panel["title"].as_str().unwrap();
        assert!(!title.is_empty(), "{board}");
        if panel["type"] == "row" {
            continue;
        }
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        assert!(!unit.is_empty(), "{board}: {title} has no unit");
        assert!(
            panel["description"].as_str().unwrap_or_default().ends_with('.'),
            "{board}: {title} has no sentence about it"
        );
    }
}

#[test]
fn panels_do_not_overlap() {
    for board in boards::all() {
        let json = board.build().unwrap();
        let mut taken = BTreeSet::new();
        for panel in json["panels"].as_array().unwrap() {
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24 && at("w") > 0 && at("h") > 0, "{panel}");
            for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{}: something is at {cell:?} already: {panel}", board.title());
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_that_exist() {
    let uids: BTreeSet<_> = boards::all().iter().map(|board| board.uid().to_owned()).collect();
    let text = panels().iter().map(|(_, panel)| panel.to_string()).collect::<String>();
    let linked: BTreeSet<_> =
        text.split("/d/").skip(1).map(|rest| rest.split(['?', '"']).next().unwrap().to_owned()).collect();
    assert!(!linked.is_empty());
    assert!(linked.is_subset(&uids), "{linked:?}");
}

#[test]
fn every_alert_has_a_runbook_and_a_line_in_the_guide() {
    let guide = fs::read_to_string(Path::new(TOP).join("docs/dashboards.md")).unwrap();
    let mut names = BTreeSet::new();
    for (_, rules) in alerts::all() {
        for alert in rules.alerts() {
            assert!(names.insert(alert.name().to_owned()), "two alerts are called {}", alert.name());
            let (page, anchor) = alert.runbook().split_once('#').unwrap();
            let text = fs::read_to_string(Path::new(TOP).join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
            let section = text.split("\n## ").find(|section| section.starts_with(alert.name()));
            let section = section.unwrap_or_else(|| panic!("{page} has no section {}", alert.name()));
            assert_eq!(anchor, alert.name().to_lowercase());
            assert!(section.lines().count() > 4, "{page}: {} says too little", alert.name());
            assert!(
                guide.contains(&format!("`{}`", alert.name())),
                "docs/dashboards.md does not name {}",
                alert.name()
            );
        }
    }
}
