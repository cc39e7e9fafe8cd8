//! OpenTelemetry's own collector understands what is pushed to it: the same figures, and events with what one searches for.

use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::otel::Collector;
use testbed::wait::wait_for;

use crate::house::{Service, entry, message};

/// An attribute of a point or a record.
fn attribute<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    let all = of["attributes"].as_array()?;
    all.iter().find(|one| one["key"] == name)?["value"]["stringValue"].as_str()
}

/// The point of a metric with this label in what came last.
fn point(metrics: &[Value], name: &str, (label, value): (&str, &str)) -> Option<Value> {
    let metric = metrics.iter().rev().find(|metric| metric["name"] == name)?;
    let data = metric.get("sum").or_else(|| metric.get("histogram"))?;
    // Cumulative, as they are told.
    assert_eq!(data["aggregationTemporality"], 2, "{metric}");
    data["dataPoints"].as_array()?.iter().find(|point| attribute(point, label) == Some(value)).cloned()
}

#[tokio::test]
async fn opentelemetrys_collector_gets_metrics_and_events() {
    let collector = Collector::start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let endpoint = format!("http://{}", collector.address());
    let settings = format!(
        "push: {{interval: 1s, otlp: {{endpoint: '{endpoint}'}}}}\nevents: {{otlp: {{endpoint: '{endpoint}'}}}}\n"
    );
    let service = Service::start(&settings).await;
    let stream = service.stream();
    let mut entries = vec![entry(200, "via_upstream"); 30];
    entries.extend(vec![entry(429, "request_rate_limited"); 12]);
    stream.send(message(entries)).await.unwrap();

    let figures = async || {
        let metrics = collector.metrics();
        let count = |code| Some(point(&metrics, "gateway_requests_total", ("code", code))?["asInt"].clone());
        (count("200")? == "30" && count("429")? == "12").then_some(metrics)
    };
    let metrics = wait_for("the figures", PATIENCE, figures).await.unwrap();
    let limited = point(&metrics, "gateway_local_replies_total", ("reason", "rate_limited")).unwrap();
    assert_eq!((attribute(&limited, "route"), &limited["asInt"]), (Some("cart"), &json!("12")));
    let times = point(&metrics, "gateway_request_seconds", ("route", "cart")).unwrap();
    let (counts, bounds) = (times["bucketCounts"].as_array().unwrap(), times["explicitBounds"].as_array().unwrap());
    assert_eq!((&times["count"], counts.len()), (&json!("42"), bounds.len() + 1));

    let events = async || Some(collector.records()).filter(|records| records.len() == 12);
    let events = wait_for("the events", PATIENCE, events).await.unwrap();
    for event in events {
        assert_eq!((&event["eventName"], &event["severityText"]), (&json!("rate_limited"), &json!("WARN")));
        assert_eq!(attribute(&event, "gateway.route"), Some("HTTPRoute shop/cart"));
        let line: Value = serde_json::from_str(event["body"]["stringValue"].as_str().unwrap()).unwrap();
        assert_eq!((&line["reason"], &line["request"]), (&json!("rate_limited"), &json!("id-1")));
    }
}
