//! What was sent is counted, or known to be lost: in bursts, beside what is broken, and when the exporter stands still.

use std::time::{Duration, Instant};

use ::envoy::Message as _;
use bytes::Bytes;
use nix::sys::signal::Signal;
use serde_json::json;
use testbed::PATIENCE;
use testbed::client::{Connection, Request};
use testbed::proc::mebibytes;
use testbed::wait::wait_until;
use testbed::{envoy, front};

use crate::envoy::{NOBODY, answered, log_with};
use crate::house::{Service, entry, message};

const ENTRIES: &str = r#"exporter_entries_total{kind="request"}"#;
const MALFORMED: &str = r#"exporter_dropped_entries_total{reason="malformed"}"#;
const TOO_LARGE: &str = r#"exporter_dropped_entries_total{reason="too_large"}"#;

/// Ten bursts a second.
const PACE: Duration = Duration::from_millis(100);
const BURSTS: u32 = 30;
/// Each has a part of a burst.
const STREAMS: u32 = 4;
/// Entries of a part, with one that is broken: 20,000 a second.
const PART: usize = 500;

/// A message of good entries and one that ends too early.
fn part() -> Bytes {
    let mut bytes = message(vec![entry(200, "via_upstream"); PART - 1]).encode_to_vec();
    // One more list, of one entry of five bytes: a field that promises more than there is.
    bytes.extend_from_slice(&[0x12, 7, 0x0a, 5, 0x0a, 100, 1, 2, 3]);
    bytes.into()
}

#[tokio::test]
async fn bursts_of_twenty_thousand_a_second_are_counted_exactly() {
    let service = Service::start("").await;
    let streams: Vec<_> = (0..STREAMS).map(|_| service.raw_stream()).collect();
    let mut giant = entry(200, "via_upstream");
    giant.request.as_mut().unwrap().path = "/".repeat(2 << 20);
    let (part, giant) = (part(), Bytes::from(message(vec![giant]).encode_to_vec()));
    let (begun, mut turns) = (Instant::now(), tokio::time::interval(PACE));
    for burst in 0..BURSTS {
        turns.tick().await;
        for stream in &streams {
            stream.send(part.clone()).await.unwrap();
        }
        if burst % 10 == 0 {
            streams[0].send(giant.clone()).await.unwrap();
        }
    }
    let (good, broken) = (f64::from(BURSTS * STREAMS) * 499.0, f64::from(BURSTS * STREAMS));
    service.reaches(ENTRIES, good).await;
    let took = begun.elapsed();
    assert!(took < 2 * BURSTS * PACE, "{took:?}");
    assert_eq!((service.metric(MALFORMED).await, service.metric(TOO_LARGE).await), (broken, 3.0));
    // No stream has ended for it.
    assert_eq!(service.metric("exporter_streams").await, f64::from(STREAMS));
}

/// Asks so many times over several connections at once, as fast as it is answered.
async fn ask(request: &Request, times: u32) {
    const CLIENTS: u32 = 8;
    let clients = (0..CLIENTS).map(|_| {
        let request = request.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(&request).await.unwrap();
            for _ in 0..times / CLIENTS {
                assert_eq!(connection.send(&request).await.unwrap().status, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// An Envoy whose buffers are small.
async fn envoy_at_its_limits(service: &Service) -> envoy::Envoy {
    let spec = front::Spec::new("exporter", service.grpc.parse().unwrap()).manager(&log_with(16_384));
    let mut bootstrap = spec.hosts(&[answered()]).bootstrap(NOBODY);
    let options = &mut bootstrap["static_resources"]["clusters"][0]["typed_extension_protocol_options"];
    options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["explicit_http_config"] = json!({
        "http2_protocol_options": { "initial_stream_window_size": 65_535, "initial_connection_window_size": 65_535 },
    });
    envoy::Spec::new(bootstrap.to_string()).concurrency(2).start().await.unwrap()
}

#[tokio::test]
async fn an_exporter_that_stands_still_loses_nothing_that_envoy_does_not_count() {
    let service = Service::start("").await;
    let envoy = envoy_at_its_limits(&service).await;
    let stat = async |name: &str| envoy.stat(&format!("access_logs.grpc_access_log.{name}")).await.unwrap();
    let address = envoy.listener("http").await.unwrap();
    // A long path, so that buffers are full soon.
    let request = Request::get(&format!("http://edge.example/{}", "x".repeat(1000))).to(address);
    let mut asked: u32 = 4000;
    ask(&request, 4000).await;

    service.process.signal(Signal::SIGSTOP).unwrap();
    while stat("logs_dropped").await == 0 {
        ask(&request, 2000).await;
        asked += 2000;
        assert!(asked < 100_000, "nothing is dropped");
    }
    service.process.signal(Signal::SIGCONT).unwrap();
    ask(&request, 800).await;
    asked += 800;

    let told = async || stat("logs_written").await + stat("logs_dropped").await == u64::from(asked);
    wait_until("Envoy to have counted all", PATIENCE, told).await.unwrap();
    let written = stat("logs_written").await;
    assert!((4000..u64::from(asked)).contains(&written), "{written} of {asked}");
    #[allow(clippy::cast_precision_loss)]
    service.reaches(ENTRIES, written as f64).await;
}

#[tokio::test]
async fn a_hundred_thousand_of_everything_need_no_more_memory() {
    let service = Service::start("caps: {requests: 2000, routes: 500, localReplies: 500}\n").await;
    let stream = service.raw_stream();
    let unlike = |number: u32| {
        let mut entry = entry(429, "request_rate_limited");
        let common = entry.common_properties.as_mut().unwrap();
        common.route_name = format!("route {number}");
        common.upstream_cluster = format!("cluster {number}");
        common.custom_tags.insert("portcullis.ja4".to_owned(), format!("t13d{number}"));
        let request = entry.request.as_mut().unwrap();
        (request.path, request.authority) = (format!("/{number}"), format!("{number}.example"));
        entry
    };
    let mut before = 0.0;
    for batch in 0..100_u32 {
        let entries = (batch * 1000..(batch + 1) * 1000).map(unlike).collect();
        stream.send(message(entries).encode_to_vec().into()).await.unwrap();
        if batch == 20 {
            service.reaches(ENTRIES, 21_000.0).await;
            before = mebibytes(service.process.pid(), "VmRSS").unwrap();
        }
    }
    service.reaches(ENTRIES, 100_000.0).await;
    let after = mebibytes(service.process.pid(), "VmRSS").unwrap();
    assert!(after < before + 8.0, "{before} MiB became {after}");
    // All of them are counted, most as others.
    let text = service.page("/metrics").await;
    let counts = text.lines().filter(|line| line.starts_with("gateway_requests_total{"));
    let sum: u64 = counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 100_000);
    assert!(service.metric(r#"exporter_series{metric="gateway_requests_total"}"#).await <= 2010.0);
}
