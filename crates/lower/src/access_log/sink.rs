//! Where records go.

use envoy::{
    accesslog::AccessLog,
    core,
    ext::access_log::{
        file::{FileAccessLog, file_access_log},
        grpc::{CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig},
        open_telemetry::OpenTelemetryAccessLogConfig,
    },
    pb::opentelemetry::proto::common::v1::{AnyValue, KeyValue, KeyValueList, any_value},
    tracing_tags::{CustomTag, custom_tag},
};
use ir::{
    ClusterName,
    api::ext::envoy_proxy::access_log::{AccessLogFormat, AccessLogSink, AlsSink, AlsType, OpenTelemetrySink},
};

use super::{Writer, format::Record, log};
use crate::{convert::grpc_service, metadata, telemetry};

const STDOUT: &str = "/dev/stdout";

/// What a worker keeps while the service is slower than it: some 1,500 records, a tenth of a second of a busy one. Envoy's own
/// 16 KiB are full after 25.
const BUFFER_BYTES: u32 = 1 << 20;

/// The usual record to Envoy's standard output.
pub(super) fn stdout() -> AccessLog {
    file(STDOUT, &Record::of(None))
}

/// A sink; `None` where it has no cluster, or is not for this writer.
pub(super) fn lower(
    gateway: &str,
    format: Option<&AccessLogFormat>,
    sink: &AccessLogSink,
    cluster: Option<&ClusterName>,
    writer: Writer,
) -> Option<AccessLog> {
    let AccessLogSink { r#type: _, als, file: to_file, open_telemetry: otlp } = sink;
    match (als, to_file, otlp) {
        (Some(als), _, _) => service(gateway, als, cluster?, writer),
        (_, Some(to_file), _) => Some(file(to_file.path.as_deref().unwrap_or(STDOUT), &Record::of(format))),
        (_, _, Some(otlp)) => Some(open_telemetry(gateway, otlp, format, cluster?)),
        (None, None, None) => None,
    }
}

fn file(path: &str, record: &Record<'_>) -> AccessLog {
    let format = file_access_log::AccessLogFormat::LogFormat(record.format());
    let config = FileAccessLog { path: path.to_owned(), access_log_format: Some(format) };
    log("envoy.access_loggers.file", &config)
}

/// Records of requests and records of connections are different messages: a service asks for one kind of them.
fn service(gateway: &str, als: &AlsSink, cluster: &ClusterName, writer: Writer) -> Option<AccessLog> {
    let of_requests = matches!(writer, Writer::Requests | Writer::Tries);
    let mut custom_tags = vec![
        tag("portcullis.listener", "%FILTER_CHAIN_NAME%"),
        tag("portcullis.trace", "%TRACE_ID%"),
        tag("portcullis.ja4", "%TLS_JA4_FINGERPRINT%"),
    ];
    if of_requests {
        let promised = custom_tag::Type::Metadata(metadata::objectives_tag());
        custom_tags.push(CustomTag { tag: "portcullis.slo".to_owned(), r#type: Some(promised) });
    }
    let common = CommonGrpcAccessLogConfig {
        log_name: als.log_name.clone().unwrap_or_else(|| format!("accesslog/{gateway}")),
        grpc_service: Some(grpc_service(cluster, "", None)),
        transport_api_version: core::ApiVersion::V3.into(),
        buffer_size_bytes: Some(BUFFER_BYTES),
        custom_tags,
        ..Default::default()
    };
    match als.r#type {
        AlsType::HTTP if of_requests => {
            let http = als.http.clone().unwrap_or_default();
            let config = HttpGrpcAccessLogConfig {
                common_config: Some(common),
                additional_request_headers_to_log: http.request_headers,
                additional_response_headers_to_log: http.response_headers,
                additional_response_trailers_to_log: http.response_trailers,
            };
            Some(log("envoy.access_loggers.http_grpc", &config))
        }
        AlsType::TCP if !of_requests => {
            Some(log("envoy.access_loggers.tcp_grpc", &TcpGrpcAccessLogConfig { common_config: Some(common) }))
        }
        AlsType::HTTP | AlsType::TCP => None,
    }
}

/// What the records themselves do not say, by Envoy's formatters: all listeners have one stream so, which names of logs would
/// make into one each.
fn tag(name: &str, value: &str) -> CustomTag {
    CustomTag { tag: name.to_owned(), r#type: Some(custom_tag::Type::Value(value.to_owned())) }
}

fn open_telemetry(
    gateway: &str,
    otlp: &OpenTelemetrySink,
    format: Option<&AccessLogFormat>,
    cluster: &ClusterName,
) -> AccessLog {
    let record = Record::of(format);
    let mut service = grpc_service(cluster, "", None);
    service.initial_metadata = telemetry::call_headers(&otlp.headers);
    let (body, attributes) = match &record {
        Record::Text(text) => (Some(string(text.trim_end())), None),
        Record::Fields(fields) => {
            let values = fields.iter().map(|(key, value)| pair(key, value)).collect();
            (None, Some(KeyValueList { values }))
        }
    };
    let resource = otlp.resource_attributes.iter().chain(&otlp.resources);
    let resource: Vec<KeyValue> = resource.map(|(key, value)| pair(key, value)).collect();
    let config = OpenTelemetryAccessLogConfig {
        grpc_service: Some(service),
        log_name: format!("accesslog/{gateway}"),
        formatters: record.formatters(),
        body,
        attributes,
        resource_attributes: (!resource.is_empty()).then_some(KeyValueList { values: resource }),
        ..Default::default()
    };
    log("envoy.access_loggers.open_telemetry", &config)
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(string(value)), ..Default::default() }
}

fn string(text: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) }
}
