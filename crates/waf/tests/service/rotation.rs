//! The audit log's file gives way to a new one when it is full.

use std::collections::BTreeMap;
use std::fs;

use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use testbed::PATIENCE;
use testbed::wait::{wait_for_value, wait_until};

use crate::envoy::{Edge, INJECTION};
use crate::house::Service;

/// Some ten entries.
const MAX_BYTES: usize = 20_000;

struct Log {
    service: Service,
    edge: Edge,
}

impl Log {
    async fn start(keep: usize) -> Self {
        let file = format!("{{path: 'DIR/audit.log', maxBytes: {MAX_BYTES}, keep: {keep}}}");
        let service = Service::start_bare(&format!("audit: {{file: {file}}}\n")).await;
        let edge = Edge::start(&service).await;
        Self { service, edge }
    }

    /// Has a request refused that its entry is known by.
    async fn refuse(&self, number: usize) {
        assert_eq!(self.edge.get(&format!("/{number}?id={INJECTION}")).await.status.as_u16(), 403);
    }

    /// The texts of its files by the number behind their name, 0 for the one that is written.
    fn files(&self) -> BTreeMap<usize, String> {
        let path = self.service.audit_log();
        let entries = fs::read_dir(path.parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let numbers = names.filter_map(|name| match name.strip_prefix("audit.log")?.strip_prefix('.') {
            Some(number) => Some(number.parse().expect("a number")),
            None => Some(0),
        });
        // One may give way between the two looks; who asks looks again.
        numbers.filter_map(|number| Some((number, fs::read_to_string(self.file(number)).ok()?))).collect()
    }

    fn file(&self, number: usize) -> std::path::PathBuf {
        let path = self.service.audit_log();
        if number == 0 { path } else { path.with_extension(format!("log.{number}")) }
    }

    /// That so many entries were written, and none was dropped or lost.
    async fn counted(&self, entries: usize) {
        for (outcome, wanted) in [("written", entries), ("dropped", 0), ("lost", 0)] {
            let series = format!("waf_audit_entries_total{{outcome=\"{outcome}\"}}");
            assert_eq!(self.service.metric(&series).await.to_string(), wanted.to_string(), "{outcome}");
        }
    }
}

/// The requests of these files, in the order in which they were written. Each line is whole.
fn requests(files: &BTreeMap<usize, String>) -> Vec<usize> {
    let request = |line: &str| -> usize {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let target = entry["target"].as_str().unwrap();
        target[1..target.find('?').unwrap()].parse().unwrap()
    };
    files.values().rev().flat_map(|text| text.lines()).map(request).collect()
}

#[tokio::test]
async fn of_many_at_once_none_is_lost_and_no_file_is_larger_than_it_may_be() {
    const REQUESTS: usize = 300;
    let log = Log::start(1000).await;
    stream::iter(0..REQUESTS).for_each_concurrent(16, |number| log.refuse(number)).await;
    let lines = async || log.files().values().map(|text| text.lines().count()).sum();
    wait_for_value("all entries", PATIENCE, &REQUESTS, lines).await.unwrap();
    let files = log.files();
    assert!(files.len() > 10 && files.keys().copied().eq(0..files.len()), "{:?}", files.keys());
    let longest = files.values().flat_map(|text| text.lines()).map(str::len).max().unwrap() + 1;
    for (number, text) in &files {
        assert!(text.ends_with('\n') && text.len() <= MAX_BYTES, "{number}: {}", text.len());
        // It gave way no earlier than it had to.
        assert!(*number == 0 || text.len() + longest > MAX_BYTES, "{number}: {}", text.len());
    }
    let mut requests = requests(&files);
    requests.sort_unstable();
    assert!(requests.iter().copied().eq(0..REQUESTS), "{requests:?}");
    log.counted(REQUESTS).await;
}

#[tokio::test]
async fn no_more_old_files_stay_than_it_says_and_they_are_the_last() {
    const REQUESTS: usize = 80;
    let log = Log::start(2).await;
    for number in 0..REQUESTS {
        log.refuse(number).await;
        // One after the other, so that their order is known.
        let written = async || log.files().get(&0).is_some_and(|text| text.contains(&format!("\"/{number}?")));
        wait_until("the entry", PATIENCE, written).await.unwrap();
    }
    let files = log.files();
    assert_eq!(files.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert!(files.values().all(|text| text.len() <= MAX_BYTES));
    let requests = requests(&files);
    let first = requests[0];
    assert!(first > 0 && requests.iter().copied().eq(first..REQUESTS), "{requests:?}");
    log.counted(REQUESTS).await;
}
