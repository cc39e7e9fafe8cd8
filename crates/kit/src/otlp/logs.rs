//! Records, as OTLP logs.

use std::num::NonZeroU128;
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};

use super::{Refused, Sender, nanos, pair, partly, refused};

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

impl Sender {
    /// Sends these records.
    pub async fn send(&self, records: &[Record]) -> Result<(), Refused> {
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
        let request = self.request(ExportLogsServiceRequest { resource_logs: vec![resource_logs] });
        let answer = LogsServiceClient::new(self.channel.clone()).export(request).await;
        match answer.map_err(|status| refused(&status))?.into_inner().partial_success {
            Some(part) => partly(part.rejected_log_records, part.error_message),
            None => Ok(()),
        }
    }
}

impl Record {
    fn encode(&self) -> LogRecord {
        let (number, text) = match self.severity {
            Severity::Info => (SeverityNumber::Info, "INFO"),
            Severity::Warn => (SeverityNumber::Warn, "WARN"),
            Severity::Error => (SeverityNumber::Error, "ERROR"),
        };
        let time = nanos(self.time);
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
