//! Changes of real files are noticed, however they are made.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kit::watch::{Changes, Mode, watch};

const DEADLINE: Duration = Duration::from_secs(10);

fn start(root: &Path) -> Changes {
    watch(&[root.to_owned()], Mode::Notify).unwrap()
}

async fn noticed(changes: &mut Changes) {
    tokio::time::timeout(DEADLINE, changes.changed()).await.expect("the change is noticed");
}

/// Makes a change and waits for its signal and for the quiet after it.
async fn after(changes: &mut Changes, change: impl FnOnce()) {
    change();
    noticed(changes).await;
    while tokio::time::timeout(Duration::from_millis(150), changes.changed()).await.is_ok() {}
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

#[tokio::test]
async fn a_rewritten_file_and_a_renamed_one_are_noticed() {
    let (_dir, path) = scratch();
    let file = path.join("config.yaml");
    fs::write(&file, "a").unwrap();
    let mut changes = start(&file);
    after(&mut changes, || fs::write(&file, "b").unwrap()).await;
    after(&mut changes, || {
        fs::write(path.join(".config.yaml.swp"), "c").unwrap();
        fs::rename(path.join(".config.yaml.swp"), &file).unwrap();
    })
    .await;
    after(&mut changes, || fs::remove_file(&file).unwrap()).await;
    after(&mut changes, || fs::write(&file, "d").unwrap()).await;
}

#[tokio::test]
async fn a_neighbour_and_reading_are_not_changes() {
    let (_dir, path) = scratch();
    let file = path.join("config.yaml");
    fs::write(&file, "a").unwrap();
    let mut changes = start(&file);
    fs::write(path.join("other.yaml"), "b").unwrap();
    fs::read(&file).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), changes.changed()).await.is_err());
}

#[tokio::test]
async fn a_config_map_swap_is_noticed_each_time() {
    let (_dir, path) = scratch();
    let publish = |version: &str| {
        let data = path.join(format!("..{version}"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("config.yaml"), version).unwrap();
        std::os::unix::fs::symlink(format!("..{version}"), path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    };
    publish("v1");
    std::os::unix::fs::symlink("..data/config.yaml", path.join("config.yaml")).unwrap();
    let mut of_file = start(&path.join("config.yaml"));
    let mut of_directory = start(&path);
    for version in ["v2", "v3", "v4"] {
        after(&mut of_file, || publish(version)).await;
        noticed(&mut of_directory).await;
        assert_eq!(fs::read_to_string(path.join("config.yaml")).unwrap(), version);
    }
}

#[tokio::test]
async fn a_link_to_elsewhere_is_followed() {
    let (_dir, path) = scratch();
    fs::create_dir_all(path.join("releases/1")).unwrap();
    fs::create_dir_all(path.join("releases/2")).unwrap();
    fs::write(path.join("releases/1/config.yaml"), "1").unwrap();
    fs::write(path.join("releases/2/config.yaml"), "2").unwrap();
    std::os::unix::fs::symlink("releases/1", path.join("current")).unwrap();
    let mut changes = start(&path.join("current/config.yaml"));
    after(&mut changes, || fs::write(path.join("releases/1/config.yaml"), "1b").unwrap()).await;
    after(&mut changes, || {
        fs::remove_file(path.join("current")).unwrap();
        std::os::unix::fs::symlink("releases/2", path.join("current")).unwrap();
    })
    .await;
    after(&mut changes, || fs::write(path.join("releases/2/config.yaml"), "2b").unwrap()).await;
}

#[tokio::test]
async fn new_directories_are_watched_at_any_depth() {
    let (_dir, path) = scratch();
    let mut changes = start(&path);
    let deep = path.join("a/b/c");
    after(&mut changes, || fs::create_dir_all(&deep).unwrap()).await;
    after(&mut changes, || fs::write(deep.join("x.yaml"), "x").unwrap()).await;
    after(&mut changes, || fs::write(deep.join("x.yaml"), "y").unwrap()).await;
    after(&mut changes, || fs::remove_dir_all(path.join("a")).unwrap()).await;
    after(&mut changes, || fs::create_dir_all(&deep).unwrap()).await;
    after(&mut changes, || fs::write(deep.join("x.yaml"), "z").unwrap()).await;
}

#[tokio::test]
async fn a_root_that_comes_later_and_comes_back_is_noticed() {
    let (_dir, path) = scratch();
    let root = path.join("one/two");
    let mut changes = start(&root);
    for _ in 0..3 {
        after(&mut changes, || fs::create_dir_all(&root).unwrap()).await;
        after(&mut changes, || fs::write(root.join("a.yaml"), "a").unwrap()).await;
        after(&mut changes, || fs::remove_dir_all(path.join("one")).unwrap()).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_removed_and_made_again_in_a_burst_is_still_watched() {
    let (_dir, path) = scratch();
    let inner = path.join("inner");
    fs::create_dir(&inner).unwrap();
    let mut changes = start(&path);
    for round in 0..10 {
        after(&mut changes, || {
            // The burst begins with another change.
            fs::write(path.join("a.yaml"), round.to_string()).unwrap();
            fs::remove_dir_all(&inner).unwrap();
            // Often with the inode that it had.
            fs::create_dir(&inner).unwrap();
        })
        .await;
        after(&mut changes, || fs::write(inner.join("b.yaml"), round.to_string()).unwrap()).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_renamed_away_and_back_is_still_watched() {
    let (_dir, path) = scratch();
    let (root, aside) = (path.join("rules"), path.join("aside"));
    let inner = root.join("inner");
    fs::create_dir_all(&inner).unwrap();
    let mut changes = start(&root);
    for round in 0..5 {
        after(&mut changes, || {
            fs::rename(&root, &aside).unwrap();
            fs::rename(&aside, &root).unwrap();
        })
        .await;
        after(&mut changes, || fs::write(root.join("a.yaml"), round.to_string()).unwrap()).await;
        after(&mut changes, || fs::write(inner.join("b.yaml"), round.to_string()).unwrap()).await;
    }
}

#[tokio::test]
async fn a_burst_is_few_signals_and_the_first_comes_soon() {
    let (_dir, path) = scratch();
    let mut changes = start(&path);
    let stop = Instant::now() + Duration::from_secs(2);
    let writer = std::thread::spawn(move || {
        let mut writes = 0;
        while Instant::now() < stop {
            fs::write(path.join("a.yaml"), writes.to_string()).unwrap();
            writes += 1;
        }
        writes
    });
    let mut signals = 0;
    noticed(&mut changes).await;
    let first = stop.saturating_duration_since(Instant::now());
    assert!(!first.is_zero(), "the signal came while the burst was going on");
    while tokio::time::timeout(Duration::from_millis(300), changes.changed()).await.is_ok() {
        signals += 1;
    }
    let writes = writer.join().unwrap();
    assert!(signals <= 22 && writes > signals, "{signals} signals for {writes} writes");
}

#[tokio::test]
async fn polling_notices_the_same() {
    let (_dir, path) = scratch();
    let mut changes = watch(std::slice::from_ref(&path), Mode::Poll(Duration::from_millis(10))).unwrap();
    after(&mut changes, || fs::create_dir(path.join("sub")).unwrap()).await;
    after(&mut changes, || fs::write(path.join("sub/a.yaml"), "a").unwrap()).await;
    after(&mut changes, || fs::remove_dir_all(path.join("sub")).unwrap()).await;
}
