//! A configuration follows its file; a bad one leaves the good one in force.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use kit::testing;
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: u32,
}

/// Puts a file into a directory as a ConfigMap volume does: a new directory, and a link that is swapped.
fn publish(mount: &Path, version: u32, text: &str) {
    let data = mount.join(format!("..{version}"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("config.yaml"), text).unwrap();
    symlink(format!("..{version}"), mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
}

fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{config=\"limits\"}}")));
    line.unwrap_or_else(|| panic!("{name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_swapped_config_map_is_taken_over_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), 1, "limit: 1");
    let file = dir.path().join("config.yaml");
    symlink("..data/config.yaml", &file).unwrap();
    let kit = testing::kit();
    let load = {
        let file = file.clone();
        move || kit::config::load::<Limit>(&file)
    };
    let mut limits = kit.reloader().follow("limits", std::slice::from_ref(&file), load).await.unwrap();
    assert_eq!(*limits.get(), Limit { limit: 1 });

    publish(dir.path(), 2, "limit: 2");
    let start = std::time::Instant::now();
    assert_eq!(*tokio::time::timeout(testing::DEADLINE, limits.changed()).await.unwrap(), Limit { limit: 2 });
    assert!(start.elapsed() < Duration::from_secs(2), "taken over after {:?}", start.elapsed());

    publish(dir.path(), 3, "limit: many");
    testing::eventually("the failure is counted", async || {
        (metric(&kit.metrics.text(), "config_reload_failures_total") > 0.0).then_some(())
    })
    .await;
    assert_eq!(*limits.get(), Limit { limit: 2 });
    assert!(metric(&kit.metrics.text(), "config_reload_last_successful") < 0.5);

    publish(dir.path(), 4, "limit: 4");
    assert_eq!(*tokio::time::timeout(testing::DEADLINE, limits.changed()).await.unwrap(), Limit { limit: 4 });
    assert!(metric(&kit.metrics.text(), "config_reload_last_successful") > 0.5);
    kit.shutdown.stop();
    kit.tasks.finished().await;
}

#[tokio::test]
async fn a_bad_first_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    fs::write(&file, "limti: 1").unwrap();
    let named = file.clone();
    let error = testing::kit()
        .reloader()
        .follow("limits", std::slice::from_ref(&file), move || kit::config::load::<Limit>(&named))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("{}:1:1: limti: unknown field `limti`, allowed: limit", file.display()));
}
