use envoy::Message as _;
use envoy::accesslog_data::HttpAccessLogEntry;
use prometheus::Registry;
use serde_json::{Value, json};

use super::*;
use crate::testing::{self, refused, request, structure, with_metadata};

fn told(entry: &HttpAccessLogEntry, masked: Vec<Field>) -> Option<Value> {
    let metrics = Metrics::register(&Registry::new());
    let (journal, queue) = Journal::unwritten(4);
    let dropped = metrics.dropped_events.with_label_values(&["file"]);
    let events = Events::new(&metrics, masked, vec![Kept { journal, dropped }], true);
    let bytes = entry.encode_to_vec();
    let request = Request::read(&bytes).unwrap();
    let reason = Reason::of(request.details, request.code, request.common.flags);
    let facts = Facts::read(request.common.metadata);
    events.tell(&request, reason, &facts, "edge/eg", 0);
    let kind = Kind::of(reason, &facts)?;
    assert_eq!(metrics.events.with_label_values(&[kind.name()]).get(), 1);
    Some(serde_json::from_str(&queue.try_recv().unwrap().body).unwrap())
}

#[test]
fn a_refusal_is_told_with_all_that_is_known_but_the_query() {
    let line = told(&refused(429, "request_rate_limited"), Vec::new()).unwrap();
    let wanted = json!({
        "time": "2023-11-14T22:13:20.5Z", "event": "rate_limited", "request": "id-1", "trace": testing::TRACE,
        "gateway": "edge/eg", "listener": "http", "route": "HTTPRoute shop/cart", "client": "192.0.2.1",
        "method": "GET", "host": "shop.example", "path": "/cart", "user_agent": "test", "code": 429,
        "reason": "rate_limited", "details": "request_rate_limited",
    });
    assert_eq!(line, wanted);
}

#[test]
fn the_firewall_tells_its_rules() {
    let verdict = |verdict: &str| {
        structure(&json!({ "profile": "web", "verdict": verdict, "score": 15, "rules": [942_100, 949_110] }))
    };
    // Envoy has the firewall's structure below the namespace of the same name.
    let line = told(&with_metadata(refused(403, "waf_rule"), "portcullis.waf", verdict("block")), Vec::new()).unwrap();
    assert_eq!((&line["event"], &line["reason"]), (&json!("waf_block"), &json!("waf")));
    assert_eq!(line["waf"], json!({ "profile": "web", "score": 15.0, "rules": [942_100, 949_110] }));
    let line = told(&with_metadata(request(), "portcullis.waf", verdict("detect")), Vec::new()).unwrap();
    assert_eq!((&line["event"], line.get("reason")), (&json!("waf_detect"), None));
    let pass = structure(&json!({ "profile": "web", "verdict": "pass", "score": 0, "rules": [] }));
    assert_eq!(told(&with_metadata(request(), "portcullis.waf", pass), Vec::new()), None);
}

#[test]
fn logins_and_denials_are_told() {
    let signed_on = |entry, fields| with_metadata(entry, "envoy.filters.http.ext_authz", structure(&fields));
    let login = signed_on(refused(302, "ext_authz_denied"), json!({ "event": "login", "subject": "ann" }));
    let line = told(&login, Vec::new()).unwrap();
    assert_eq!((&line["event"], &line["user"]), (&json!("login"), &json!("ann")));
    let event = |code| told(&refused(code, "ext_authz_denied"), Vec::new()).unwrap()["event"].clone();
    assert_eq!([event(302), event(401), event(403)], ["login_required", "denied", "denied"]);
    // Somebody who is logged in and does as usual is no event.
    assert_eq!(told(&signed_on(request(), json!({ "subject": "ann" })), Vec::new()), None);
    assert_eq!(told(&refused(503, "no_healthy_upstream"), Vec::new()), None);
}

#[test]
fn fields_are_masked_by_rule() {
    let all = vec![Field::Client, Field::User, Field::Host, Field::Path, Field::UserAgent];
    let entry = with_metadata(
        refused(403, "ext_authz_denied"),
        "envoy.filters.http.ext_authz",
        structure(&json!({ "subject": "ann" })),
    );
    let line = told(&entry, all).unwrap();
    for field in ["client", "user", "host", "path", "user_agent"] {
        assert_eq!(line[field], json!("***"), "{field}");
    }
    assert_eq!(line["request"], json!("id-1"));
}

#[test]
fn a_line_is_one_line_whatever_a_client_sends() {
    let mut entry = refused(429, "request_rate_limited");
    entry.request.as_mut().unwrap().user_agent = "a\nb\r\"\u{1}</script>".to_owned();
    let line = told(&entry, Vec::new()).unwrap();
    assert_eq!(line["user_agent"], json!("a\nb\r\"\u{1}</script>"));
}

#[test]
fn what_is_dropped_is_counted_once_for_each_sink() {
    let metrics = Metrics::register(&Registry::new());
    let (sinks, _queues): (Vec<_>, Vec<_>) = [("file", 1), ("otlp", 2)]
        .map(|(sink, room)| {
            let (journal, queue) = Journal::unwritten(room);
            (Kept { journal, dropped: metrics.dropped_events.with_label_values(&[sink]) }, queue)
        })
        .into_iter()
        .unzip();
    let events = Events::new(&metrics, Vec::new(), sinks, false);
    let bytes = refused(429, "request_rate_limited").encode_to_vec();
    let request = Request::read(&bytes).unwrap();
    let reason = Reason::of(request.details, request.code, 0);
    for _ in 0..4 {
        events.tell(&request, reason, &Facts::default(), "edge/eg", 0);
    }
    let dropped = |sink| metrics.dropped_events.with_label_values(&[sink]).get();
    assert_eq!((dropped("file"), dropped("otlp")), (3, 2));
}

#[test]
fn those_who_look_on_see_every_refusal_with_its_reason() {
    let metrics = Metrics::register(&Registry::new());
    let (journal, queue) = Journal::unwritten(4);
    let dropped = metrics.dropped_events.with_label_values(&["file"]);
    let events = Events::new(&metrics, vec![Field::Path], vec![Kept { journal, dropped }], false);
    let mut watcher = events.live().subscribe();
    let mut told = |entry: HttpAccessLogEntry| -> Option<Value> {
        let bytes = entry.encode_to_vec();
        let request = Request::read(&bytes).unwrap();
        let reason = Reason::of(request.details, request.code, request.common.flags);
        events.tell(&request, reason, &Facts::default(), "edge/eg", 0);
        watcher.try_recv().ok().map(|line| serde_json::from_str(&line).unwrap())
    };
    let mut unhealthy = refused(503, "no_healthy_upstream");
    let common = unhealthy.common_properties.as_mut().unwrap();
    common.response_flags.as_mut().unwrap().no_healthy_upstream = true;
    let line = told(unhealthy).unwrap();
    let wanted = json!(["refused", "no_healthy_upstream", "no_healthy_upstream", "UH", "***"]);
    assert_eq!(json!([line["event"], line["reason"], line["details"], line["flags"], line["path"]]), wanted);
    let line = told(refused(502, "something_new")).unwrap();
    assert_eq!((&line["reason"], &line["details"]), (&json!("other"), &json!("something_new")));
    // These are no security events, and kept nowhere.
    assert!(queue.try_recv().is_err());
    assert_eq!(told(refused(429, "request_rate_limited")).unwrap()["event"], "rate_limited");
    assert!(queue.try_recv().is_ok());
    // What the upstream answered, and where a route sends clients elsewhere.
    for (code, details) in [(503, "via_upstream"), (301, "direct_response")] {
        assert_eq!(told(refused(code, details)), None, "{details}");
    }
}
