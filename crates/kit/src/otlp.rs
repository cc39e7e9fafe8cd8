//! Records for a collector, sent as logs over OTLP/gRPC in batches that their owner makes. Whoever has records to keep decides what
//! waits, for how long, and what is lost.

use std::collections::BTreeMap;
use std::num::NonZeroU128;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::grpc;
use crate::redact::Redacted;

/// Where records go, as configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The collector's OTLP/gRPC endpoint: `http://collector:4317`, or `https://` with the system's authorities.
    pub endpoint: String,
    /// Headers of every export, such as a token.
    #[serde(default)]
    pub headers: BTreeMap<String, Redacted<String>>,
    /// How long an export may take. Default 10s.
    #[serde(default = "timeout", with = "crate::duration")]
    pub timeout: Duration,
    /// More attributes of the resource, beside `service.name` and `service.version`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

fn timeout() -> Duration {
    Duration::from_secs(10)
}

/// Why records cannot be sent at all. Mended by the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A header that HTTP does not allow.
    #[error("the header `{0}` is not valid")]
    Header(String),
    /// No endpoint.
    #[error("the endpoint `{0}` is none, allowed: as http://collector:4317")]
    Endpoint(String),
    /// TLS cannot be set up.
    #[error("TLS to the collector: {0}")]
    Tls(#[source] tonic::transport::Error),
}

/// Why a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The collector is not there, or has no time: the same may work later.
    #[error("the collector cannot take records now: {0}")]
    Now(String),
    /// It will not take them.
    #[error("the collector refuses records: {0}")]
    Ever(String),
    /// It has refused some of them.
    #[error("the collector has refused {0} records: {1}")]
    Some(u64, String),
}

/// How bad what a record tells is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is as it should be.
    Info,
    /// Somebody may want to look.
    Warn,
    /// Something failed.
    Error,
}

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When it happened.
    pub time: SystemTime,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of event it is, such as `waf.audit`.
    pub event: &'static str,
    /// The trace of the request that it is about.
    pub trace: Option<NonZeroU128>,
    /// All that there is to tell.
    pub body: String,
    /// What of that is searched for.
    pub attributes: Vec<(&'static str, Value)>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// Several numbers.
    Numbers(Vec<i64>),
}

/// Sends records. It connects when it is first used, and again when the connection is lost.
#[derive(Debug, Clone)]
pub struct Sender {
    client: LogsServiceClient<Channel>,
    metadata: MetadataMap,
    timeout: Duration,
    resource: Resource,
    scope: InstrumentationScope,
}

impl Sender {
    /// For a service's records. Needs a running runtime, here and to send.
    pub fn new(service: &str, version: &str, settings: &Settings) -> Result<Self, Error> {
        let wrong = |_| Error::Endpoint(settings.endpoint.clone());
        let mut endpoint = Endpoint::from_shared(settings.endpoint.clone()).map_err(wrong)?;
        if settings.endpoint.starts_with("https:") {
            endpoint = endpoint.tls_config(grpc::public_tls()).map_err(Error::Tls)?;
        } else if !settings.endpoint.starts_with("http:") {
            return Err(Error::Endpoint(settings.endpoint.clone()));
        }
        let own = [("service.name", service), ("service.version", version)];
        let more = settings.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let attributes = own.into_iter().chain(more);
        Ok(Self {
            client: LogsServiceClient::new(endpoint.connect_timeout(settings.timeout).connect_lazy()),
            metadata: grpc::metadata(&settings.headers).map_err(Error::Header)?,
            timeout: settings.timeout,
            resource: Resource {
                attributes: attributes.map(|(name, value)| pair(name, Any::StringValue(value.to_owned()))).collect(),
                ..Resource::default()
            },
            scope: InstrumentationScope {
                name: service.to_owned(),
                version: version.to_owned(),
                ..InstrumentationScope::default()
            },
        })
    }

    /// Sends a batch.
    pub async fn send(&mut self, records: &[Record]) -> Result<(), Refused> {
        let scope_logs = ScopeLogs {
            scope: Some(self.scope.clone()),
            log_records: records.iter().map(Record::encode).collect(),
            ..ScopeLogs::default()
        };
        let resource_logs = ResourceLogs {
            resource: Some(self.resource.clone()),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        };
        let mut request = Request::new(ExportLogsServiceRequest { resource_logs: vec![resource_logs] });
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(self.timeout);
        let answer = self.client.export(request).await.map_err(|status| refused(&status))?.into_inner();
        match answer.partial_success {
            Some(partly) if partly.rejected_log_records > 0 => {
                Err(Refused::Some(partly.rejected_log_records.unsigned_abs(), partly.error_message))
            }
            _ => Ok(()),
        }
    }
}

/// By the codes after which OTLP lets clients try again.
fn refused(status: &tonic::Status) -> Refused {
    let why = format!("{}: {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        | Code::ResourceExhausted => Refused::Now(why),
        _ => Refused::Ever(why),
    }
}

impl Record {
    fn encode(&self) -> LogRecord {
        let (number, text) = match self.severity {
            Severity::Info => (SeverityNumber::Info, "INFO"),
            Severity::Warn => (SeverityNumber::Warn, "WARN"),
            Severity::Error => (SeverityNumber::Error, "ERROR"),
        };
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time,
            severity_number: number.into(),
            severity_text: text.to_owned(),
            event_name: self.event.to_owned(),
            trace_id: self.trace.map(|trace| trace.get().to_be_bytes().to_vec()).unwrap_or_default(),
            body: Some(AnyValue { value: Some(Any::StringValue(self.body.clone())) }),
            attributes: self.attributes.iter().map(|(name, value)| pair(name, value.encode())).collect(),
            ..LogRecord::default()
        }
    }
}

impl Value {
    fn encode(&self) -> Any {
        match self {
            Self::Text(text) => Any::StringValue(text.clone()),
            Self::Number(number) => Any::IntValue(*number),
            Self::Numbers(numbers) => {
                let one = |number: &i64| AnyValue { value: Some(Any::IntValue(*number)) };
                Any::ArrayValue(ArrayValue { values: numbers.iter().map(one).collect() })
            }
        }
    }
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
