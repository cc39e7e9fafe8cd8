//! What a record says.

use std::{borrow::Cow, collections::BTreeMap};

use envoy::{
    Struct, Value,
    core::{
        DataSource, SubstitutionFormatString, TypedExtensionConfig, data_source::Specifier,
        substitution_format_string::Format,
    },
    ext::formatter::{cel::Cel, metadata::Metadata, req_without_query::ReqWithoutQuery},
};
use ir::api::ext::envoy_proxy::access_log::{AccessLogFormat, AccessLogFormatType};
use prost_types::value::Kind;

/// The fields of a record unless set: Envoy Gateway's, so that what reads them keeps working.
const FIELDS: [(&str, &str); 24] = [
    (":authority", "%REQ(:AUTHORITY)%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("duration", "%DURATION%"),
    ("method", "%REQ(:METHOD)%"),
    ("protocol", "%PROTOCOL%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("route_name", "%ROUTE_NAME%"),
    ("start_time", "%START_TIME%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
    ("user-agent", "%REQ(USER-AGENT)%"),
    ("x-envoy-origin-path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("x-envoy-upstream-service-time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x-forwarded-for", "%REQ(X-FORWARDED-FOR)%"),
    ("x-request-id", "%REQ(X-REQUEST-ID)%"),
];

/// What a record says.
pub(super) enum Record<'a> {
    /// A line of text, with its end.
    Text(Cow<'a, str>),
    /// An object of these fields.
    Fields(BTreeMap<&'a str, &'a str>),
}

impl<'a> Record<'a> {
    pub(super) fn of(format: Option<&'a AccessLogFormat>) -> Self {
        let (text, json) = format.map_or((None, None), |format| match format.r#type {
            Some(AccessLogFormatType::Text) => (format.text.as_ref(), None),
            Some(AccessLogFormatType::JSON) => (None, format.json.as_ref()),
            None => (format.text.as_ref(), format.json.as_ref()),
        });
        match (text, json) {
            (Some(text), _) if text.ends_with('\n') => Self::Text(Cow::Borrowed(text)),
            (Some(text), _) => Self::Text(Cow::Owned(format!("{text}\n"))),
            (None, Some(json)) => {
                Self::Fields(json.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect())
            }
            (None, None) => Self::Fields(FIELDS.into()),
        }
    }

    /// For a file.
    pub(super) fn format(&self) -> SubstitutionFormatString {
        let format = match self {
            Self::Text(text) => Format::TextFormatSource(DataSource {
                specifier: Some(Specifier::InlineString(text.to_string())),
                ..Default::default()
            }),
            Self::Fields(fields) => Format::JsonFormat(Struct {
                fields: fields.iter().map(|(key, value)| ((*key).to_owned(), string(value))).collect(),
            }),
        };
        SubstitutionFormatString { format: Some(format), formatters: self.formatters(), ..Default::default() }
    }

    /// The commands that are extensions to Envoy: each that is used has to be named.
    pub(super) fn formatters(&self) -> Vec<TypedExtensionConfig> {
        let uses = |command: &str| match self {
            Self::Text(text) => text.contains(command),
            Self::Fields(fields) => fields.values().any(|value| value.contains(command)),
        };
        let cel = uses("%CEL(").then(|| envoy::extension("envoy.formatter.cel", &Cel::default()));
        let metadata = uses("%METADATA(").then(|| envoy::extension("envoy.formatter.metadata", &Metadata {}));
        let query = uses("%REQ_WITHOUT_QUERY(");
        let query = query.then(|| envoy::extension("envoy.formatter.req_without_query", &ReqWithoutQuery {}));
        cel.into_iter().chain(metadata).chain(query).collect()
    }
}

fn string(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}
