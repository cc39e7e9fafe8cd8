//! Prometheus's own tool: it takes the rules, and each alert fires when it should and is quiet when it should.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dashboards::{alerts, files};
use serde_json::Value;
use tempfile::TempDir;
use testbed::tools::promtool;

/// The cases, in the format of `promtool test rules`.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules");

fn run(arguments: &[&str], files: &[PathBuf]) -> Output {
    Command::new(promtool().unwrap()).args(arguments).args(files).output().unwrap()
}

fn assert_success(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// The rules as they are generated now, and the cases beside them as in the tree.
fn lay_out(top: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut rules = Vec::new();
    for (path, content) in files().unwrap().into_iter().filter(|(path, _)| path.ends_with(".yaml")) {
        let file = top.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        rules.push(file);
    }
    let to = top.join("crates/dashboards/tests/rules");
    fs::create_dir_all(&to).unwrap();
    let copy = |entry: std::io::Result<fs::DirEntry>| {
        let case = entry.unwrap().path();
        let copy = to.join(case.file_name().unwrap());
        fs::copy(case, &copy).unwrap();
        copy
    };
    (rules, fs::read_dir(CASES).unwrap().map(copy).collect())
}

#[test]
fn prometheus_takes_the_rules() {
    let top = TempDir::new().unwrap();
    let (rules, _) = lay_out(top.path());
    assert!(!rules.is_empty());
    assert_success(&run(&["check", "rules"], &rules));
}

#[test]
fn alerts_fire_and_stay_quiet() {
    let top = TempDir::new().unwrap();
    let (_, cases) = lay_out(top.path());
    assert_success(&run(&["test", "rules"], &cases));
}

/// A case that is not written proves nothing.
#[test]
fn every_alert_has_a_case_that_fires_and_one_that_is_quiet() {
    let mut seen: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for entry in fs::read_dir(CASES).unwrap() {
        let case: Value = serde_saphyr::from_str(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        let tests = case["tests"].as_array().unwrap();
        for test in tests.iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap()) {
            let fires = test["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
            let (fired, quiet) = seen.entry(test["alertname"].as_str().unwrap().to_owned()).or_default();
            *fired |= fires;
            *quiet |= !fires;
        }
    }
    for (_, rules) in alerts::all() {
        for alert in rules.alerts() {
            assert_eq!(seen.remove(alert.name()), Some((true, true)), "{}", alert.name());
        }
    }
    assert!(seen.is_empty(), "cases of alerts that do not exist: {seen:?}");
}
