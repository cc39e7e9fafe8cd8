use envoy::Message as _;
use envoy::accesslog_data::HttpAccessLogEntry;

use super::*;
use crate::family::Value;
use crate::histogram::Histogram;
use crate::testing;

fn take(traffic: &Traffic, entries: &[HttpAccessLogEntry]) {
    let origin = traffic.origin("accesslog/edge/eg", "");
    for entry in entries {
        let bytes = entry.encode_to_vec();
        // Each in a part of its own, in turn.
        traffic.count(&origin).request(&Request::read(&bytes).unwrap());
    }
}

fn requests(traffic: &Traffic) -> Vec<(String, u64)> {
    let all = traffic.snapshot().requests;
    all.into_iter().map(|(text, _, count)| (text.to_string(), count)).collect()
}

const ROUTE: &str =
    r#"gateway="edge/eg",listener="http",route_kind="HTTPRoute",route_namespace="shop",route="cart",rule="0""#;

#[test]
fn requests_are_counted_by_their_labels_and_parts_are_added_up() {
    let (traffic, ..) = testing::traffic("{}");
    let mut other_match = testing::request();
    other_match.common_properties.as_mut().unwrap().route_name = "httproute/shop/cart/rule/0/match/7".to_owned();
    take(&traffic, &[testing::request(), testing::request(), testing::request(), other_match]);
    let more = r#"backend="service/shop/cart/8080",method="GET",code="200",code_class="2xx",protocol="HTTP/2""#;
    assert_eq!(requests(&traffic), [(format!("{ROUTE},{more}"), 4)]);
    let snapshot = traffic.snapshot();
    let totals = &snapshot.routes[0].1.totals;
    assert_eq!((totals.whole.count, totals.received, totals.sent), (4, 480, 2000));
    assert!((totals.upstream.sum - 0.06).abs() < 1e-9 && (totals.filters.sum - 0.012).abs() < 1e-9);
    let trace = totals.whole.exemplars.iter().flatten().next().unwrap().trace;
    assert_eq!(format!("{trace:032x}"), testing::TRACE);
    assert!(snapshot.replies.is_empty());
}

#[test]
fn local_replies_have_their_reason() {
    let (traffic, ..) = testing::traffic("{}");
    let entries = [("request_rate_limited", 429), ("request_rate_limited", 429), ("waf_rule", 403)];
    take(&traffic, &entries.map(|(details, code)| testing::refused(code, details)));
    let replies = traffic.snapshot().replies;
    let replies: Vec<_> = replies.iter().map(|(text, _, count)| (&text[ROUTE.len()..], *count)).collect();
    assert_eq!(replies, [(r#",code="429",reason="rate_limited""#, 2), (r#",code="403",reason="waf""#, 1)]);
    // The upstream never saw them.
    assert_eq!(traffic.snapshot().routes[0].1.totals.upstream.count, 0);
}

#[test]
fn beyond_the_cap_sums_stay_right() {
    let (traffic, metrics, _) = testing::traffic("caps: {requests: 3, routes: 2, localReplies: 1}");
    let entry = |number: u32| {
        let mut entry = testing::refused(400 + number % 2 * 100, "direct_response");
        entry.common_properties.as_mut().unwrap().route_name = format!("httproute/shop/r{number}/rule/0/match/0");
        entry
    };
    let entries: Vec<_> = (0..1000).map(entry).collect();
    take(&traffic, &entries);
    let all = requests(&traffic);
    assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 1000);
    assert_eq!(all.len(), 2 + 2, "{all:?}");
    let other = |class: &str| format!(r#"gateway="other",listener="other",route="other",code_class="{class}""#);
    assert!(all.contains(&(other("4xx"), 499)) && all.contains(&(other("5xx"), 499)), "{all:?}");
    let snapshot = traffic.snapshot();
    assert_eq!(snapshot.routes.len(), 3);
    assert_eq!(snapshot.routes.iter().map(|(_, route)| route.totals.whole.count).sum::<u64>(), 1000);
    assert_eq!(metrics.capped.with_label_values(&["gateway_requests_total"]).get(), 998);
    assert_eq!(metrics.capped.with_label_values(&["gateway_request_seconds"]).get(), 998);
    assert_eq!(metrics.capped.with_label_values(&["gateway_local_replies_total"]).get(), 999);
}

#[test]
fn what_comes_no_more_makes_room() {
    let (traffic, metrics, _) = testing::traffic("caps: {requests: 1, routes: 1}");
    let named = |name: &str| {
        let mut entry = testing::request();
        entry.common_properties.as_mut().unwrap().route_name = format!("httproute/shop/{name}/rule/0/match/0");
        entry
    };
    let mut before = Before::default();
    take(&traffic, &[named("old"), named("old")]);
    traffic.forget_idle(&mut before);
    assert_eq!(requests(&traffic)[0].1, 2);
    traffic.forget_idle(&mut before);
    assert!(requests(&traffic).is_empty());
    take(&traffic, &[named("new")]);
    let all = requests(&traffic);
    assert!(all.len() == 1 && all[0].0.contains(r#"route="new""#) && all[0].1 == 1, "{all:?}");
    assert_eq!(traffic.snapshot().routes[0].1.totals.whole.count, 1);
    assert_eq!(metrics.capped.with_label_values(&["gateway_requests_total"]).get(), 0);
    // One that goes on is kept.
    traffic.forget_idle(&mut before);
    take(&traffic, &[named("new")]);
    traffic.forget_idle(&mut before);
    assert_eq!(requests(&traffic)[0].1, 2);
}

#[test]
fn connections_are_counted_by_listener() {
    let (traffic, ..) = testing::traffic("{}");
    let origin = traffic.origin("accesslog/edge/eg", "");
    let bytes = testing::connection().encode_to_vec();
    for _ in 0..3 {
        traffic.count(&origin).connection(&Connection::read(&bytes).unwrap());
    }
    let text = r#"gateway="edge/eg",listener="5432""#;
    let connections = traffic.family(Name::Connections).unwrap();
    let connections: Vec<_> = connections.iter().collect();
    let [(labels, Value::Count(3))] = connections[..] else { panic!("{connections:?}") };
    assert_eq!(labels, format!(r#"{text},backend="service/shop/db/5432""#));
    let seconds = traffic.family(Name::ConnectionSeconds).unwrap();
    let Some((labels, Value::Histogram(Histogram { count, sum, .. }))) = seconds.get(0) else { panic!("{seconds:?}") };
    assert_eq!((labels, *count, *sum), (text, 3, 6.0));
}
