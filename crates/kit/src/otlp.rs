//! Records and metrics for a collector, sent over OTLP/gRPC in batches that their owner makes. Whoever has something to send decides
//! what waits, for how long, and what is lost.

mod logs;
mod metrics;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::grpc;
use crate::redact::Redacted;

pub use logs::{Record, Severity, Value};
pub use metrics::{Buckets, Exemplar, Metrics};

/// Where they go, as configured.
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

/// Why nothing can be sent at all. Mended by the configuration.
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
    #[error("the collector cannot take anything now: {0}")]
    Now(String),
    /// It will not take them.
    #[error("the collector refuses it: {0}")]
    Ever(String),
    /// It has refused some of them.
    #[error("the collector has refused {0} of them: {1}")]
    Some(u64, String),
}

/// Sends. It connects when it is first used, and again when the connection is lost.
#[derive(Debug, Clone)]
pub struct Sender {
    channel: Channel,
    metadata: MetadataMap,
    timeout: Duration,
    resource: Resource,
    scope: InstrumentationScope,
}

impl Sender {
    /// For what a service has. Needs a running runtime, here and to send.
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
            channel: endpoint.connect_timeout(settings.timeout).connect_lazy(),
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

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(self.timeout);
        request
    }
}

/// What an answer says of a part that was not taken.
fn partly(refused: i64, why: String) -> Result<(), Refused> {
    if refused > 0 { Err(Refused::Some(refused.unsigned_abs(), why)) } else { Ok(()) }
}

/// By the codes after which OTLP lets clients try again.
fn refused(status: &Status) -> Refused {
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

fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
