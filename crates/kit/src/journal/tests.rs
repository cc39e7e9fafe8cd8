use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::numbered;
use super::*;
use crate::otlp::Severity;

const OWNER: Owner = Owner { service: "test", version: "1", what: "journal" };

fn record(body: &str) -> Record {
    let (time, body) = (SystemTime::now(), body.to_owned());
    Record { time, severity: Severity::Info, event: "test", trace: None, body, attributes: Vec::new() }
}

fn records(bodies: &[&str]) -> Vec<Record> {
    bodies.iter().map(|body| record(body)).collect()
}

fn settings(path: PathBuf, max_bytes: u64, keep: usize) -> File {
    File { path, max_bytes, keep }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| error.kind().to_string())
}

#[test]
fn everything_is_written_when_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let lost = IntCounter::new("lost", "Lost.").unwrap();
    let target = Target::File(settings(path.clone(), 1 << 20, 1));
    let journal = Journal::start(OWNER, target, 2000, lost.clone()).unwrap();
    let wanted: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    assert!(wanted.lines().all(|line| journal.write(record(line))));
    drop(journal);
    assert_eq!((read(&path), lost.get()), (wanted, 0));
}

#[test]
fn a_full_file_gives_way_within_a_batch_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let mut file = Rotating::open(settings(path.clone(), 12, 2)).unwrap();
    assert!(file.write(&records(&["one 5", "two 5", "three", "a line that is longer than a file"])).is_ok());
    assert!(file.write(&records(&["four"])).is_ok());
    let old = |number| read(&numbered(&path, number));
    let long = "a line that is longer than a file\n".to_owned();
    assert_eq!((read(&path), old(1), old(2)), ("four\n".to_owned(), long, "three\n".to_owned()));
    assert!(!numbered(&path, 3).exists());
    // What is there already counts after a restart.
    let mut file = Rotating::open(settings(path.clone(), 12, 2)).unwrap();
    assert!(file.write(&records(&["1234567"])).is_ok());
    assert_eq!((read(&path), old(1)), ("1234567\n".to_owned(), "four\n".to_owned()));
}

#[test]
fn without_old_ones_a_file_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let mut file = Rotating::open(settings(path.clone(), 6, 0)).unwrap();
    assert!(file.write(&records(&["one", "two"])).is_ok());
    assert_eq!(read(&path), "two\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_written_is_counted_one_by_one() {
    let lost = IntCounter::new("lost", "Lost.").unwrap();
    let target = Target::File(settings("/dev/full".into(), 10, 1));
    let journal = Journal::start(OWNER, target, 100, lost.clone()).unwrap();
    for _ in 0..40 {
        assert!(journal.write(record("a line")));
    }
    drop(journal);
    assert_eq!(lost.get(), 40);
    // It is no file that could give way.
    assert!(!Path::new("/dev/full.1").exists());
}

#[test]
fn what_comes_after_a_failure_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (place, path) = (dir.path().join("logs"), dir.path().join("logs/a.log"));
    fs::create_dir(&place).unwrap();
    let mut file = Rotating::open(settings(path.clone(), 6, 1)).unwrap();
    assert!(file.write(&records(&["one"])).is_ok());
    fs::rename(&place, dir.path().join("elsewhere")).unwrap();
    assert_eq!(file.write(&records(&["two", "three"])).err().map(|lost| lost.records), Some(2));
    fs::create_dir(&place).unwrap();
    assert!(file.write(&records(&["four"])).is_ok());
    assert_eq!(read(&path), "four\n");
}

#[test]
fn a_file_that_cannot_give_way_grows_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let mut file = Rotating::open(settings(path.clone(), 6, 1)).unwrap();
    fs::create_dir(numbered(&path, 1)).unwrap();
    assert!(file.write(&records(&["one", "two", "three"])).is_ok());
    assert_eq!(read(&path), "one\ntwo\nthree\n");
}

#[test]
fn a_file_that_is_taken_away_costs_no_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let mut file = Rotating::open(settings(path.clone(), 6, 3)).unwrap();
    assert!(file.write(&records(&["one", "two", "three"])).is_ok());
    fs::remove_file(&path).unwrap();
    assert!(file.write(&records(&["four"])).is_ok());
    let old = |number| read(&numbered(&path, number));
    assert_eq!((read(&path), old(1), old(2)), ("four\n".to_owned(), "two\n".to_owned(), "one\n".to_owned()));
}

#[test]
fn a_file_that_others_rotate_is_left_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("a.log"), dir.path().join("a.log-1"));
    let mut file = Rotating::open(settings(path.clone(), 100, 3)).unwrap();
    assert!(file.write(&records(&["one"])).is_ok());
    fs::rename(&path, &moved).unwrap();
    assert!(file.write(&records(&["two"])).is_ok());
    fs::rename(&path, dir.path().join("a.log-2")).unwrap();
    fs::write(&path, "").unwrap();
    assert!(file.write(&records(&["three"])).is_ok());
    assert_eq!((read(&moved), read(&path)), ("one\n".to_owned(), "three\n".to_owned()));
    // Copied and emptied: what is gone takes no room.
    fs::write(&path, "").unwrap();
    assert!(file.write(&records(&[&"x".repeat(96)])).is_ok());
    assert_eq!(read(&path).len(), 97);
    assert!(!numbered(&path, 1).exists());
}

#[test]
fn what_finds_no_room_is_refused() {
    let (journal, queue) = Journal::unwritten(1);
    assert!(journal.write(record("a")) && !journal.write(record("b")));
    drop(queue);
    assert!(!journal.write(record("c")));
    let (journal, _queue) = Journal::unwritten(10);
    assert!(journal.write(record(&"a".repeat(MOST_BYTES))) && !journal.write(record("b")));
}
