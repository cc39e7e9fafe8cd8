//! Entries for tests, as Envoy makes them.

use std::sync::Arc;

use envoy::accesslog_data::http_access_log_entry::HttpVersion;
use envoy::accesslog_data::{
    AccessLogCommon, ConnectionProperties, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties,
    ResponseFlags, TcpAccessLogEntry,
};
use envoy::core::{Metadata, Node, RequestMethod};
use envoy::service::accesslog::StreamAccessLogsMessage;
use envoy::service::accesslog::stream_access_logs_message::{
    HttpAccessLogEntries, Identifier, LogEntries, TcpAccessLogEntries,
};
use envoy::{Duration, Message as _, Struct, Timestamp, Value, ValueKind, socket_address};
use prometheus::Registry;

use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::traffic::Traffic;

/// A trace.
pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A GET of `/cart` that took 20 ms, 15 of them behind the gateway.
pub(crate) fn request() -> HttpAccessLogEntry {
    HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            downstream_remote_address: Some(socket_address("192.0.2.1", 50000)),
            downstream_local_address: Some(socket_address("10.0.0.1", 10080)),
            start_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 }),
            time_to_first_upstream_tx_byte: Some(millis(3)),
            time_to_last_upstream_rx_byte: Some(millis(18)),
            time_to_last_downstream_tx_byte: Some(millis(20)),
            duration: Some(millis(20)),
            upstream_cluster: "service/shop/cart/8080".to_owned(),
            response_flags: Some(ResponseFlags::default()),
            route_name: "httproute/shop/cart/rule/0/match/0".to_owned(),
            custom_tags: [
                ("portcullis.listener".to_owned(), "edge/eg/http".to_owned()),
                ("portcullis.trace".to_owned(), TRACE.to_owned()),
            ]
            .into(),
            stream_id: "stream".to_owned(),
            downstream_wire_bytes_sent: 500,
            downstream_wire_bytes_received: 120,
            ..AccessLogCommon::default()
        }),
        protocol_version: HttpVersion::Http2.into(),
        request: Some(HttpRequestProperties {
            request_method: RequestMethod::Get.into(),
            authority: "shop.example".to_owned(),
            path: "/cart?secret=1".to_owned(),
            user_agent: "test".to_owned(),
            request_id: "id-1".to_owned(),
            request_body_bytes: 7,
            ..HttpRequestProperties::default()
        }),
        response: Some(HttpResponseProperties {
            response_code: Some(200),
            response_body_bytes: 300,
            response_code_details: "via_upstream".to_owned(),
            ..HttpResponseProperties::default()
        }),
    }
}

/// The same, answered by Envoy itself.
pub(crate) fn refused(code: u32, details: &str) -> HttpAccessLogEntry {
    let mut entry = request();
    let common = entry.common_properties.as_mut().unwrap();
    (common.time_to_first_upstream_tx_byte, common.time_to_last_upstream_rx_byte) = (None, None);
    let response = entry.response.as_mut().unwrap();
    (response.response_code, response.response_code_details) = (Some(code), details.to_owned());
    entry
}

/// Gives an entry dynamic metadata.
pub(crate) fn with_metadata(mut entry: HttpAccessLogEntry, namespace: &str, fields: Struct) -> HttpAccessLogEntry {
    let metadata = Metadata { filter_metadata: [(namespace.to_owned(), fields)].into(), ..Metadata::default() };
    entry.common_properties.as_mut().unwrap().metadata = Some(metadata);
    entry
}

/// A structure of texts, numbers and lists of numbers.
pub(crate) fn structure(value: &serde_json::Value) -> Struct {
    fn of(value: &serde_json::Value) -> Value {
        let kind = match value {
            serde_json::Value::Number(number) => ValueKind::NumberValue(number.as_f64().unwrap()),
            serde_json::Value::Array(items) => {
                ValueKind::ListValue(envoy::ListValue { values: items.iter().map(of).collect() })
            }
            other => ValueKind::StringValue(other.as_str().unwrap().to_owned()),
        };
        Value { kind: Some(kind) }
    }
    Struct { fields: value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), of(value))).collect() }
}

/// A connection of 2 s.
pub(crate) fn connection() -> TcpAccessLogEntry {
    TcpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            downstream_local_address: Some(socket_address("10.0.0.1", 5432)),
            upstream_cluster: "service/shop/db/5432".to_owned(),
            duration: Some(Duration { seconds: 2, nanos: 0 }),
            ..AccessLogCommon::default()
        }),
        connection_properties: Some(ConnectionProperties { received_bytes: 10, sent_bytes: 20 }),
    }
}

/// A message of the gateway `edge/eg`.
pub(crate) fn message(entries: Vec<HttpAccessLogEntry>) -> Vec<u8> {
    let entries = LogEntries::HttpLogs(HttpAccessLogEntries { log_entry: entries });
    StreamAccessLogsMessage { identifier: Some(identifier()), log_entries: Some(entries) }.encode_to_vec()
}

/// The same with connections.
pub(crate) fn tcp_message(entries: Vec<TcpAccessLogEntry>) -> Vec<u8> {
    let entries = LogEntries::TcpLogs(TcpAccessLogEntries { log_entry: entries });
    StreamAccessLogsMessage { identifier: Some(identifier()), log_entries: Some(entries) }.encode_to_vec()
}

/// What counts, with these settings (YAML).
pub(crate) fn traffic(settings: &str) -> (Arc<Traffic>, Arc<Metrics>, Registry) {
    let settings: Settings = kit::config::parse("exporter.yaml", settings).unwrap();
    let registry = Registry::new();
    let metrics = Arc::new(Metrics::register(&registry));
    (Arc::new(crate::serve::traffic(&settings, 2, &metrics)), metrics, registry)
}

fn identifier() -> Identifier {
    Identifier { node: Some(Node::default()), log_name: "accesslog/edge/eg".to_owned() }
}

fn millis(millis: i32) -> Duration {
    Duration { seconds: 0, nanos: millis * 1_000_000 }
}
