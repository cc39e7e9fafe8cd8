use envoy::Message as _;

use super::*;
use crate::entry::Request;
use crate::testing;
use crate::wire::{Fields, Value, field};

#[test]
fn every_form_has_all_kinds_of_series() {
    assert_eq!(String::from_utf8(all_kinds("*/*")).unwrap(), include_str!("golden/plain.txt"));
    assert_eq!(String::from_utf8(all_kinds(text::OPEN_METRICS)).unwrap(), include_str!("golden/open_metrics.txt"));
    assert_eq!(all_kinds(proto::TYPE), include_bytes!("golden/protobuf.bin"));
}

/// Two routes, replies with and without a trace, connections, and a label that has to be quoted.
fn all_kinds(accept: &str) -> Vec<u8> {
    let (traffic, metrics, registry) = testing::traffic("buckets: {seconds: [0.01, 1], bytes: [256]}");
    metrics.entries.with_label_values(&["request"]).inc_by(4);
    metrics.series.with_label_values(&["a\"b\\c\n"]).set(-3);
    let origin = traffic.origin("accesslog/edge/eg", "");
    let mut foreign = testing::request();
    let common = foreign.common_properties.as_mut().unwrap();
    common.route_name = "a \"route\"\\\n".to_owned();
    common.custom_tags.clear();
    for entry in [testing::request(), testing::refused(429, "request_rate_limited"), testing::request(), foreign] {
        let bytes = entry.encode_to_vec();
        traffic.count(&origin).request(&Request::read(&bytes).unwrap());
    }
    let bytes = testing::connection().encode_to_vec();
    traffic.count(&origin).connection(&crate::entry::Connection::read(&bytes).unwrap());
    let mut registry = registry.gather();
    registry.retain(|family| ["exporter_entries_total", "exporter_series"].contains(&family.name()));
    scrape(registry, traffic, accept).parts.flatten().collect()
}

fn scraped(accept: &str) -> (&'static str, Vec<u8>) {
    let (traffic, metrics, registry) = testing::traffic("buckets: {seconds: [0.01, 1]}");
    metrics.entries.with_label_values(&["request"]).inc_by(2);
    let origin = traffic.origin("accesslog/edge/eg", "");
    for entry in [testing::request(), testing::refused(429, "request_rate_limited")] {
        let bytes = entry.encode_to_vec();
        traffic.count(&origin).request(&Request::read(&bytes).unwrap());
    }
    let Exposition { content_type, parts } = scrape(registry.gather(), traffic, accept);
    (content_type, parts.flatten().collect())
}

const ROUTE: &str =
    r#"gateway="edge/eg",listener="http",route_kind="HTTPRoute",route_namespace="shop",route="cart",rule="0""#;

#[test]
fn plain_text_is_the_usual() {
    let (content_type, body) = scraped("*/*");
    assert_eq!(content_type, kit::metrics::TEXT);
    let text = String::from_utf8(body).unwrap();
    for line in [
        "# TYPE exporter_entries_total counter".to_owned(),
        r#"exporter_entries_total{kind="request"} 2"#.to_owned(),
        "# TYPE gateway_requests_total counter".to_owned(),
        format!(r#"gateway_local_replies_total{{{ROUTE},code="429",reason="rate_limited"}} 1"#),
        "# TYPE gateway_request_seconds histogram".to_owned(),
        format!(r#"gateway_request_seconds_bucket{{{ROUTE},le="0.01"}} 0"#),
        format!(r#"gateway_request_seconds_bucket{{{ROUTE},le="1.0"}} 2"#),
        format!(r#"gateway_request_seconds_bucket{{{ROUTE},le="+Inf"}} 2"#),
        format!("gateway_request_seconds_sum{{{ROUTE}}} 0.04"),
        format!("gateway_request_seconds_count{{{ROUTE}}} 2"),
        format!("gateway_upstream_seconds_count{{{ROUTE}}} 1"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains(" # {") && !text.contains("# EOF"));
}

#[test]
fn open_metrics_has_exemplars() {
    let (content_type, body) = scraped("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert_eq!(content_type, text::OPEN_METRICS);
    let text = String::from_utf8(body).unwrap();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("# TYPE gateway_requests counter\n") && text.contains("# TYPE exporter_entries counter\n"));
    let exemplar = format!(r#"le="1.0"}} 2 # {{trace_id="{}"}} 0.02 1700000000.520"#, testing::TRACE);
    assert!(text.contains(&exemplar), "{text}");
}

/// The fields of all families: name, kind, metrics.
fn families(body: &[u8]) -> Vec<(String, u64, Vec<&[u8]>)> {
    let (mut rest, mut families) = (body, Vec::new());
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| byte & 0x80 == 0).unwrap();
        let length = rest[..=end].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        let (family, after) = rest[end + 1..].split_at(length);
        rest = after;
        let (mut fields, mut metrics) = (Fields::new(family), Vec::new());
        while let Some((number, value)) = fields.next().unwrap() {
            if number == 4 {
                metrics.push(value.bytes());
            }
        }
        let name = String::from_utf8(field(family, 1).unwrap().bytes().to_vec()).unwrap();
        families.push((name, field(family, 3).unwrap().number(), metrics));
    }
    families
}

#[test]
fn protobuf_has_native_histograms() {
    let (content_type, body) = scraped("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily");
    assert_eq!(content_type, proto::TYPE);
    let families = families(&body);
    let (_, kind, metrics) = families.iter().find(|(name, ..)| name == "gateway_request_seconds").unwrap();
    assert_eq!((*kind, metrics.len()), (4, 1));
    let histogram = field(metrics[0], 7).unwrap().bytes();
    assert_eq!(field(histogram, 1).unwrap().number(), 2);
    assert_eq!(field(histogram, 2).map(Value::number), Some(0.04_f64.to_bits()));
    // Schema 3, zigzag; one bucket, index -45: 2^(-45/8) is 0.0203.
    assert_eq!(field(histogram, 5).unwrap().number(), 6);
    let span = field(histogram, 12).unwrap().bytes();
    assert_eq!((field(span, 1).unwrap().number(), field(span, 2).unwrap().number()), (89, 1));
    assert_eq!(field(histogram, 13).unwrap().number(), 4);
    let (_, kind, metrics) = families.iter().find(|(name, ..)| name == "gateway_requests_total").unwrap();
    assert_eq!((*kind, metrics.len()), (0, 2));
    let label = field(metrics[0], 1).unwrap().bytes();
    assert_eq!(field(label, 1).unwrap().bytes(), b"gateway");
    assert_eq!(field(label, 2).unwrap().bytes(), b"edge/eg");
}

#[test]
fn parts_are_small_and_make_up_the_whole() {
    let (traffic, _, registry) = testing::traffic("{}");
    let origin = traffic.origin("accesslog/edge/eg", "");
    for number in 0..500 {
        let mut entry = testing::request();
        entry.common_properties.as_mut().unwrap().route_name = format!("httproute/shop/r{number}/rule/0/match/0");
        let bytes = entry.encode_to_vec();
        traffic.count(&origin).request(&Request::read(&bytes).unwrap());
    }
    for accept in ["*/*", text::OPEN_METRICS, proto::TYPE] {
        let parts: Vec<_> = scrape(registry.gather(), Arc::clone(&traffic), accept).parts.collect();
        let (last, full) = parts.split_last().unwrap();
        assert!(full.len() >= 5 && !last.is_empty(), "{accept}: {}", parts.len());
        assert!(full.iter().all(|part| (PART..PART + ROOM).contains(&part.len())), "{accept}");
        let whole = parts.concat();
        if accept == proto::TYPE {
            let families = families(&whole);
            assert!(families.iter().all(|(name, _, metrics)| !name.starts_with("gateway_") || metrics.len() == 500));
        } else {
            let text = String::from_utf8(whole).unwrap();
            assert_eq!(text.lines().filter(|line| line.starts_with("gateway_request_seconds_count")).count(), 500);
        }
    }
}
