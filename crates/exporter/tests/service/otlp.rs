//! What a collector gets: the series that scrapers get, and events. One that is slow hurts nothing else.

use ::envoy::accesslog_data::HttpAccessLogEntry;
use kit::testing::collector::{Collector, body, text};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, HistogramDataPoint, Metric, NumberDataPoint, number_data_point,
};
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::wait::{wait_for, wait_until};
use tonic::Code;

use crate::house::{Service, entry, message, requests};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn pushing(address: std::net::SocketAddr, more: &str) -> String {
    format!("push: {{interval: 1s, otlp: {{endpoint: 'http://{address}', headers: {{x-token: t1}}{more}}}}}\n")
}

fn traced(code: u32, details: &str) -> HttpAccessLogEntry {
    let mut entry = entry(code, details);
    let tags = &mut entry.common_properties.as_mut().unwrap().custom_tags;
    tags.insert("portcullis.trace".to_owned(), TRACE.to_owned());
    entry
}

/// The last value of a metric with these labels; a series is told anew at each push.
fn last<'a>(metrics: &'a [Vec<Metric>], name: &str) -> Option<&'a Metric> {
    metrics.iter().rev().flatten().find(|metric| metric.name == name)
}

fn numbers(metric: &Metric) -> &[NumberDataPoint] {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Cumulative);
            &sum.data_points
        }
        Data::Gauge(gauge) => &gauge.data_points,
        other => panic!("{other:?}"),
    }
}

fn histograms(metric: &Metric) -> &[HistogramDataPoint] {
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
    &histogram.data_points
}

/// How many requests a collector was told of with this status.
fn told(collector: &Collector, code: &str) -> i64 {
    let taken = collector.taken();
    let points = last(&taken.metrics, "gateway_requests_total").map(numbers).unwrap_or_default();
    let point = points.iter().find(|point| text(&point.attributes, "code") == Some(code));
    match point.and_then(|point| point.value) {
        Some(number_data_point::Value::AsInt(count)) => count,
        _ => 0,
    }
}

/// Thirty requests with a trace and twelve that were limited, of one route.
fn assert_figures(collector: &Collector) {
    let taken = collector.taken();
    let points = numbers(last(&taken.metrics, "gateway_requests_total").unwrap());
    let point = points.iter().find(|point| text(&point.attributes, "code") == Some("200")).unwrap();
    let label = |name| text(&point.attributes, name);
    let wanted = [("gateway", "edge/eg"), ("listener", "http"), ("route", "cart"), ("rule", "0"), ("method", "GET")];
    assert!(wanted.iter().all(|(name, value)| label(name) == Some(value)), "{point:?}");
    assert!(point.start_time_unix_nano > 0 && point.start_time_unix_nano < point.time_unix_nano);
    let replies = numbers(last(&taken.metrics, "gateway_local_replies_total").unwrap());
    assert_eq!(text(&replies[0].attributes, "reason"), Some("rate_limited"));

    // 42 of 20 ms each, and one of them stands for its bucket.
    let [point] = histograms(last(&taken.metrics, "gateway_request_seconds").unwrap()) else { panic!("one route") };
    assert_eq!((point.count, point.bucket_counts.len()), (42, point.explicit_bounds.len() + 1));
    assert!((point.sum.unwrap() - 0.84).abs() < 1e-9);
    let filled: Vec<_> =
        point.bucket_counts.iter().zip(&point.explicit_bounds).filter(|(count, _)| **count > 0).collect();
    assert_eq!(filled, [(&42, &0.025)]);
    let trace: String = point.exemplars[0].trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((point.exemplars.len(), &*trace), (1, TRACE));
    let [point] = histograms(last(&taken.metrics, "gateway_upstream_seconds").unwrap()) else { panic!("one route") };
    assert_eq!(point.count, 42);
    assert!(last(&taken.metrics, "process_resident_memory_bytes").is_some());
    let resource = taken.resource.clone().unwrap();
    assert_eq!((text(&resource.attributes, "service.name"), &*taken.token), (Some("exporter"), "t1"));
}

#[tokio::test]
async fn a_collector_gets_the_figures_that_were_sent() {
    let collector = Collector::default();
    // It is busy at first: what it did not take then, it gets with the next push.
    collector.taken().answers.push(Code::Unavailable);
    let service = Service::start(&pushing(collector.start(), "")).await;
    let stream = service.stream();
    let mut entries = vec![traced(200, "via_upstream"); 30];
    entries.extend(vec![entry(429, "request_rate_limited"); 12]);
    stream.send(message(entries)).await.unwrap();
    let comes = async || told(&collector, "200") == 30 && told(&collector, "429") == 12;
    wait_until("the figures", PATIENCE, comes).await.unwrap();
    assert_figures(&collector);
    assert!(service.metric(r#"exporter_pushed_points_total{outcome="dropped"}"#).await > 0.0);
}

#[tokio::test]
async fn many_series_come_in_several_requests() {
    let collector = Collector::default();
    let service = Service::start(&pushing(collector.start(), "")).await;
    let routed = |number: u32| {
        let mut entry = entry(200, "via_upstream");
        entry.common_properties.as_mut().unwrap().route_name = format!("httproute/shop/r{number}/rule/0/match/0");
        entry
    };
    service.stream().send(message((0..1500).map(routed).collect())).await.unwrap();
    let whole = async || {
        let taken = collector.taken();
        let points = |metrics: &[Metric]| -> usize {
            metrics.iter().filter(|one| one.name == "gateway_response_bytes").map(|one| histograms(one).len()).sum()
        };
        // Within one push they come one behind the other.
        taken.metrics.windows(3).any(|some| some.iter().map(|metrics| points(metrics)).sum::<usize>() == 1500)
    };
    wait_until("all series", PATIENCE, whole).await.unwrap();
    let size = |metrics: &Vec<Metric>| -> usize {
        let points = |metric: &Metric| match metric.data.as_ref().unwrap() {
            Data::Histogram(histogram) => histogram.data_points.len(),
            _ => numbers(metric).len(),
        };
        metrics.iter().map(points).sum()
    };
    assert!(collector.taken().metrics.iter().all(|metrics| size(metrics) <= 1000));
}

#[tokio::test]
async fn a_collector_that_hangs_costs_no_scrape_and_no_entry() {
    let collector = Collector::default();
    collector.taken().hangs = true;
    let address = collector.start();
    let events =
        format!("events: {{file: {{path: DIR/events}}, otlp: {{endpoint: 'http://{address}', timeout: 1s}}}}\n");
    let service = Service::start(&format!("{}{events}", pushing(address, ", timeout: 1s"))).await;
    let stream = service.stream();
    let asked = async || collector.taken().asked >= 2;
    stream.send(message(vec![entry(429, "request_rate_limited")])).await.unwrap();
    wait_until("metrics and events on their way", PATIENCE, asked).await.unwrap();
    for _ in 0..9 {
        stream.send(message(vec![entry(429, "request_rate_limited"); 1000])).await.unwrap();
    }
    service.reaches(&requests(429), 9001.0).await;
    // Of the events, the file has as many as fit its queue at least, and the collector's queue has dropped the rest.
    let dropped = async || service.metric(r#"exporter_dropped_events_total{sink="otlp"}"#).await > 0.0;
    wait_until("drops", PATIENCE, dropped).await.unwrap();
    let lines = async || std::fs::read_to_string(service.file("events")).unwrap_or_default().lines().count() > 4000;
    wait_until("the file", PATIENCE, lines).await.unwrap();
    let points = r#"exporter_pushed_points_total{outcome="dropped"}"#;
    let given_up = async || service.metric(points).await > 0.0;
    wait_until("a push that is given up", PATIENCE, given_up).await.unwrap();

    // It recovers, and is told the sums: nothing but the time between is lost.
    collector.taken().hangs = false;
    wait_until("the figures", PATIENCE, async || told(&collector, "429") == 9001).await.unwrap();
}

#[tokio::test]
async fn events_reach_a_collector_with_what_one_searches_for() {
    let collector = Collector::default();
    let address = collector.start();
    let service =
        Service::start(&format!("events: {{otlp: {{endpoint: 'http://{address}'}}, redact: [client]}}\n")).await;
    service.stream().send(message(vec![traced(429, "request_rate_limited")])).await.unwrap();
    let record = async || collector.taken().records.first().cloned();
    let record = wait_for("the event", PATIENCE, record).await.unwrap();
    assert_eq!((record.event_name.as_str(), record.severity_text.as_str()), ("rate_limited", "WARN"));
    let trace: String = record.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&*trace, record.time_unix_nano), (TRACE, 1_700_000_000_000_000_000));
    let of = |name| text(&record.attributes, name);
    assert_eq!((of("gateway.request"), of("gateway.reason")), (Some("id-1"), Some("rate_limited")));
    assert_eq!((of("gateway.route"), of("url.path")), (Some("HTTPRoute shop/cart"), Some("/cart")));
    assert_eq!(of("client.address"), Some("***"));
    let line: Value = serde_json::from_str(body(&record)).unwrap();
    assert_eq!((&line["event"], &line["request"]), (&json!("rate_limited"), &json!("id-1")));
}

#[tokio::test]
async fn at_the_end_the_last_events_and_figures_are_sent() {
    let collector = Collector::default();
    let address = collector.start();
    let settings = format!(
        "push: {{interval: 1h, otlp: {{endpoint: 'http://{address}'}}}}\n\
                            events: {{otlp: {{endpoint: 'http://{address}'}}}}\n"
    );
    let service = Service::start(&settings).await;
    let stream = service.stream();
    stream.send(message(vec![entry(429, "request_rate_limited"); 700])).await.unwrap();
    service.reaches(&requests(429), 700.0).await;
    assert!(service.process.terminate(PATIENCE).await.unwrap().success());
    let records = collector.taken().records.len();
    assert_eq!((records, told(&collector, "429")), (700, 700));
}
