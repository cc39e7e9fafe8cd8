//! Scrapers: many series, and clients that read slowly, or not to the end.

use ::envoy::accesslog_data::HttpAccessLogEntry;
use testbed::proc::mebibytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{Service, entry, message};

/// Each has five histograms.
const ROUTES: usize = 1000;
const ENTRIES: &str = r#"exporter_entries_total{kind="request"}"#;
/// Scrapers that read nothing more once the answer has begun.
const IDLE: u32 = 30;

fn routed(number: usize) -> HttpAccessLogEntry {
    let mut entry = entry(200, "via_upstream");
    entry.common_properties.as_mut().unwrap().route_name = format!("httproute/shop/r{number}/rule/0/match/0");
    entry
}

/// A service that knows many routes.
async fn with_routes() -> Service {
    let service = Service::start("").await;
    let stream = service.stream();
    for first in (0..ROUTES).step_by(100) {
        stream.send(message((first..first + 100).map(routed).collect())).await.unwrap();
    }
    service.reaches(r#"exporter_series{metric="gateway_requests_total"}"#, 1000.0).await;
    service
}

/// A scrape of which only the beginning is read.
async fn begun(service: &Service, accept: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&service.admin).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: a\r\naccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut beginning = [0; 100];
    stream.read_exact(&mut beginning).await.unwrap();
    assert!(beginning.starts_with(b"HTTP/1.1 200 OK"));
    stream
}

#[tokio::test]
async fn those_who_read_slowly_hold_little_and_hurt_no_other() {
    let service = with_routes().await;
    let size = service.page("/metrics").await.len();
    assert!(size > 8 << 20, "{size}");
    let memory = || mebibytes(service.process.pid(), "VmRSS").unwrap();
    for accept in ["*/*", "application/openmetrics-text", "application/vnd.google.protobuf"] {
        let before = memory();
        let mut idle = Vec::new();
        for _ in 0..IDLE {
            idle.push(begun(&service, accept).await);
        }
        // Others get everything meanwhile.
        let text = service.page("/metrics").await;
        let whole = text.lines().filter(|line| line.starts_with("gateway_response_bytes_count")).count();
        assert_eq!(whole, ROUTES);
        // As a whole, each answer would take more than 8 MiB.
        let more = memory() - before;
        assert!(more < 2.0 * f64::from(IDLE), "{accept}: {more} MiB for {IDLE} readers");
        // So do those who send.
        let before = service.metric(ENTRIES).await;
        service.stream().send(message(vec![routed(7); 1000])).await.unwrap();
        service.reaches(ENTRIES, before + 1000.0).await;
    }
    // All of them have gone.
    assert_eq!(service.page("/metrics").await.lines().filter(|line| line.starts_with("# HELP gateway_")).count(), 8);
}
