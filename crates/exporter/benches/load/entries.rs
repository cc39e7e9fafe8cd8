//! Entries as a busy edge has them: with all that Envoy fills in.

use envoy::accesslog_data::http_access_log_entry::HttpVersion;
use envoy::accesslog_data::tls_properties::TlsVersion;
use envoy::accesslog_data::{
    AccessLogCommon, AccessLogType, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties, ResponseFlags,
    TlsProperties,
};
use envoy::core::RequestMethod;
use envoy::service::accesslog::StreamAccessLogsMessage;
use envoy::service::accesslog::stream_access_logs_message::{HttpAccessLogEntries, Identifier, LogEntries};
use envoy::{Duration, Timestamp, socket_address};

/// Statuses, with the reason where Envoy answers itself.
pub(crate) const CODES: [(u32, &str); 10] = [
    (200, "via_upstream"),
    (201, "via_upstream"),
    (204, "via_upstream"),
    (302, "ext_authz_denied"),
    (401, "ext_authz_denied"),
    (403, "waf_rule"),
    (404, "via_upstream"),
    (429, "request_rate_limited"),
    (500, "via_upstream"),
    (503, "no_healthy_upstream"),
];

/// Entries of a message: some 256 KiB.
pub(crate) const IN_A_MESSAGE: usize = 400;

/// One entry of each route and status, in messages.
pub(crate) fn messages(routes: u32) -> Vec<StreamAccessLogsMessage> {
    let all: Vec<_> = (0..routes).flat_map(|route| CODES.map(|(code, details)| entry(route, code, details))).collect();
    let identifier = Identifier { node: None, log_name: "accesslog/edge/eg".to_owned() };
    let message = |entries: &[HttpAccessLogEntry]| StreamAccessLogsMessage {
        identifier: Some(identifier.clone()),
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry: entries.to_vec() })),
    };
    all.chunks_exact(IN_A_MESSAGE).map(message).collect()
}

fn entry(route: u32, code: u32, details: &str) -> HttpAccessLogEntry {
    let upstream = details == "via_upstream";
    let millis = |millis: u32| Some(Duration { seconds: 0, nanos: i32::try_from(millis).unwrap_or(0) * 1_000_000 });
    let behind = |time: u32| upstream.then(|| millis(time)).flatten();
    let spread = route * 7 % 200;
    let port = u16::try_from(50_000 + route).unwrap_or(u16::MAX);
    HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            downstream_remote_address: Some(socket_address(&format!("192.0.2.{}", route % 250), port)),
            downstream_direct_remote_address: Some(socket_address("198.51.100.7", 40_000)),
            downstream_local_address: Some(socket_address("10.0.0.1", 10_443)),
            upstream_remote_address: upstream.then(|| socket_address("10.1.2.3", 8080)),
            upstream_local_address: upstream.then(|| socket_address("10.0.0.1", 33_333)),
            tls_properties: Some(TlsProperties {
                tls_version: TlsVersion::TlSv13.into(),
                tls_sni_hostname: format!("h{route}.example.com"),
                ..TlsProperties::default()
            }),
            start_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }),
            time_to_last_rx_byte: millis(1),
            time_to_first_upstream_tx_byte: behind(2),
            time_to_last_upstream_tx_byte: behind(2),
            time_to_first_upstream_rx_byte: behind(10 + spread),
            time_to_last_upstream_rx_byte: behind(11 + spread),
            time_to_first_downstream_tx_byte: millis(11 + spread),
            time_to_last_downstream_tx_byte: millis(12 + spread),
            duration: millis(12 + spread),
            upstream_cluster: format!("service/shop/s{route}/8080"),
            response_flags: Some(ResponseFlags::default()),
            route_name: format!("httproute/shop/route-{route}/rule/0/match/0"),
            custom_tags: [
                ("portcullis.listener".to_owned(), "edge/eg/https".to_owned()),
                ("portcullis.ja4".to_owned(), "t13d1516h2_8daaf6152771_d8a2da3f94cd".to_owned()),
                ("portcullis.trace".to_owned(), "0af7651916cd43dd8448eb211c80319c".to_owned()),
            ]
            .into(),
            upstream_request_attempt_count: 1,
            stream_id: "7f4a2b0e-3f5d-9d0a-8b1c-2f6a7e1d4c55".to_owned(),
            downstream_wire_bytes_sent: 1500,
            downstream_wire_bytes_received: 700,
            upstream_wire_bytes_sent: 800,
            upstream_wire_bytes_received: 1400,
            access_log_type: AccessLogType::DownstreamEnd.into(),
            ..AccessLogCommon::default()
        }),
        protocol_version: HttpVersion::Http2.into(),
        request: Some(request(route)),
        response: Some(HttpResponseProperties {
            response_code: Some(code),
            response_headers_bytes: 240,
            response_body_bytes: u64::from(spread) * 40,
            response_code_details: details.to_owned(),
            ..HttpResponseProperties::default()
        }),
    }
}

fn request(route: u32) -> HttpRequestProperties {
    HttpRequestProperties {
        request_method: RequestMethod::Get.into(),
        scheme: "https".to_owned(),
        authority: format!("h{route}.example.com"),
        path: format!("/api/v1/items/{}?page=2&size=50", route * 31 % 977),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
            .to_owned(),
        forwarded_for: "192.0.2.1".to_owned(),
        request_id: "7f4a2b0e-3f5d-9d0a-8b1c-2f6a7e1d4c55".to_owned(),
        request_headers_bytes: 640,
        request_body_bytes: 0,
        ..HttpRequestProperties::default()
    }
}
