use envoy::Message as _;
use envoy::accesslog_data::AccessLogType;
use serde_json::json;

use super::*;
use crate::testing;

fn ingest() -> (Ingest, Arc<Traffic>, Arc<Metrics>) {
    let (traffic, metrics, _) = testing::traffic("{}");
    let events = Events::new(&metrics, Vec::new(), Vec::new(), false);
    (Ingest::new(Arc::clone(&traffic), Arc::clone(&metrics), events), traffic, metrics)
}

fn count(traffic: &Traffic) -> u64 {
    traffic.snapshot().requests.iter().map(|(.., count)| count).sum()
}

#[test]
fn messages_are_counted_by_kind() {
    let (ingest, traffic, metrics) = ingest();
    let mut stream = ingest.begin();
    let mut interim = testing::request();
    interim.common_properties.as_mut().unwrap().access_log_type = AccessLogType::DownstreamPeriodic.into();
    let mut one_try = testing::request();
    one_try.common_properties.as_mut().unwrap().access_log_type = AccessLogType::UpstreamEnd.into();
    ingest.message(&mut stream, &testing::message(vec![testing::request(), interim, one_try, testing::request()]));
    ingest.message(&mut stream, &testing::tcp_message(vec![testing::connection()]));
    let entries = |kind: &str| metrics.entries.with_label_values(&[kind]).get();
    assert_eq!(["request", "try", "interim", "connection"].map(entries), [2, 1, 1, 1]);
    assert_eq!((count(&traffic), metrics.streams.get()), (2, 1));
    ingest.end();
    assert_eq!(metrics.streams.get(), 0);
}

#[test]
fn what_is_broken_harms_nothing_else() {
    let (ingest, traffic, metrics) = ingest();
    let mut stream = ingest.begin();
    let good = testing::request().encode_to_vec();
    // In one list: a good one, one that is cut, a giant, a good one.
    let mut list = Vec::new();
    let mut giant = testing::request();
    giant.request.as_mut().unwrap().path = "/".repeat(LARGEST);
    let broken = &good[..good.len() - 1];
    for entry in [&good, broken, &giant.encode_to_vec(), &good] {
        list.push(0x0a);
        envoy_varint(&mut list, entry.len());
        list.extend_from_slice(entry);
    }
    let mut message = vec![0x12];
    envoy_varint(&mut message, list.len());
    message.extend_from_slice(&list);
    ingest.message(&mut stream, &message);
    ingest.message(&mut stream, b"\xff\xff\xff");
    ingest.message(&mut stream, &testing::message(vec![testing::request()]));
    let dropped = |reason: &str| metrics.dropped.with_label_values(&[reason]).get();
    assert_eq!((count(&traffic), dropped("malformed"), dropped("too_large")), (3, 2, 1));
}

fn envoy_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

#[test]
fn a_hundred_thousand_paths_are_one_series() {
    let (ingest, traffic, _) = ingest();
    let mut stream = ingest.begin();
    for batch in 0..100 {
        let entry = |number: u32| {
            let mut entry = testing::request();
            entry.request.as_mut().unwrap().path = format!("/{batch}/{number}");
            entry
        };
        ingest.message(&mut stream, &testing::message((0..1000).map(entry).collect()));
    }
    let snapshot = traffic.snapshot();
    assert_eq!((snapshot.requests.len(), count(&traffic)), (1, 100_000));
    let top = serde_json::to_value(traffic.top(now())).unwrap();
    assert!(top["paths"].as_array().unwrap().len() <= 2 * kit::top::PLACES);
    assert_eq!(top["clients"][0]["key"], json!("192.0.2.1"));
}
