//! The gRPC side: what Envoy asks. The only file that names tonic.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy::core::address::Address;
use envoy::core::header_value_option::HeaderAppendAction;
use envoy::core::{HeaderMap, HeaderValue, HeaderValueOption};
use envoy::service::auth::attribute_context::HttpRequest;
use envoy::service::auth::authorization_server::{Authorization, AuthorizationServer};
use envoy::service::auth::check_response::HttpResponse;
use envoy::service::auth::{CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy::types::HttpStatus;
use envoy::{ListValue, Struct, Value, ValueKind};
use kit::Kit;
use kit::grpc::Routes;
use tonic::{Code, Request, Response, Status};
use tracing::Instrument as _;

use crate::ask::Ask;
use crate::service;
use crate::verdict::{Answer, Event, Pass, Verdict};

/// The file that declares the service.
const PROTO: &str = "envoy/service/auth/v3/external_auth.proto";

/// What is served: the service, health and reflection.
pub(crate) async fn routes(kit: &Kit, service: Service, max_message: usize) -> Routes {
    let server = AuthorizationServer::new(service).max_decoding_message_size(max_message);
    kit::grpc::routes(kit, server, envoy::file_descriptors(PROTO)).await
}

/// What Envoy asks.
pub(crate) struct Service {
    pub(crate) service: Arc<service::Service>,
    /// Whether traces are sent: then each check is a span of the caller's trace.
    pub(crate) traced: bool,
}

#[tonic::async_trait]
impl Authorization for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let ask = read(message).ok_or_else(|| Status::invalid_argument("the check has no HTTP request"))?;
        let verdict = if self.traced {
            let span = tracing::info_span!("Check", host = ask.host);
            kit::trace::adopt_parent(&span, |name| metadata.get(name)?.to_str().ok());
            self.service.check(&ask).instrument(span).await
        } else {
            self.service.check(&ask).await
        };
        Ok(Response::new(write(verdict)))
    }
}

/// The request of a check.
pub(crate) fn read(check: CheckRequest) -> Option<Ask> {
    let attributes = check.attributes?;
    let client = attributes.source.and_then(|peer| match peer.address?.address? {
        Address::SocketAddress(socket) => Some(socket.address),
        _ => None,
    });
    let HttpRequest { method, headers, header_map, path, host, body, raw_body, .. } = attributes.request?.http?;
    let mut headers = if headers.is_empty() { listed(header_map.unwrap_or_default()) } else { headers };
    // Names of pseudo headers: what they say stands in the attributes.
    headers.retain(|name, _| !name.starts_with(':'));
    Some(Ask {
        method,
        host: host.to_ascii_lowercase(),
        target: path,
        headers,
        body: if raw_body.is_empty() { body.into_bytes() } else { raw_body },
        context: attributes.context_extensions,
        client: client.unwrap_or_default(),
    })
}

/// Headers as Envoy sends them with `encode_raw_headers`: one by one. Several of one name are joined, cookies as cookies are.
fn listed(map: HeaderMap) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for HeaderValue { key, value, raw_value } in map.headers {
        let value = if raw_value.is_empty() { value } else { String::from_utf8_lossy(&raw_value).into_owned() };
        let separator = if key == "cookie" { "; " } else { "," };
        let joined = headers.get(&key).map(|before| format!("{before}{separator}{value}"));
        headers.insert(key, joined.unwrap_or(value));
    }
    headers
}

fn write(verdict: Verdict) -> CheckResponse {
    match verdict {
        Verdict::Pass(pass) => passed(*pass),
        Verdict::Answer(answer) => answered(*answer),
    }
}

fn passed(pass: Pass) -> CheckResponse {
    let set = |(name, value)| header(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd);
    let cookie = |cookie| header("set-cookie".to_owned(), cookie, HeaderAppendAction::AppendIfExistsOrAdd);
    // Whatever the server behind says: nobody else must get these cookies from a cache.
    let private = (!pass.cookies.is_empty()).then(|| set(("cache-control".to_owned(), "no-store".to_owned())));
    let ok = OkHttpResponse {
        headers: pass.set.into_iter().map(set).collect(),
        headers_to_remove: pass.remove,
        response_headers_to_add: pass.cookies.into_iter().map(cookie).chain(private).collect(),
        ..OkHttpResponse::default()
    };
    let metadata = (!pass.metadata.is_empty()).then(|| structure(pass.metadata));
    CheckResponse {
        status: Some(envoy::rpc::Status::default()),
        dynamic_metadata: metadata,
        http_response: Some(HttpResponse::OkResponse(ok)),
    }
}

fn answered(answer: Answer) -> CheckResponse {
    let set = |(name, value): (&str, String)| {
        let action = match name {
            "set-cookie" => HeaderAppendAction::AppendIfExistsOrAdd,
            _ => HeaderAppendAction::OverwriteIfExistsOrAdd,
        };
        header(name.to_owned(), value, action)
    };
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(answer.status) }),
        headers: answer.headers.into_iter().map(set).collect(),
        body: answer.body,
    };
    // Envoy takes any code but OK as "not allowed"; which one is for people who look.
    let code = if answer.status == 401 { Code::Unauthenticated } else { Code::PermissionDenied };
    CheckResponse {
        status: Some(envoy::rpc::Status { code: i32::from(code), ..envoy::rpc::Status::default() }),
        dynamic_metadata: answer.event.map(told),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
    }
}

fn told(event: Event) -> Struct {
    let Event { what, subject, provider } = event;
    let fields = [("event", what.to_owned()), ("subject", subject), ("provider", provider)];
    let fields = fields.into_iter().map(|(name, text)| (name.to_owned(), text.into()));
    structure(fields.collect())
}

/// JSON as protobuf has it.
fn structure(fields: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, of)| (name, value(of))).collect() }
}

fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match json {
        Json::Null => ValueKind::NullValue(0),
        Json::Bool(truth) => ValueKind::BoolValue(truth),
        Json::Number(number) => ValueKind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => ValueKind::StringValue(text),
        Json::Array(items) => ValueKind::ListValue(ListValue { values: items.into_iter().map(value).collect() }),
        Json::Object(fields) => ValueKind::StructValue(structure(fields)),
    };
    Value { kind: Some(kind) }
}

fn header(key: String, value: String, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key, value, ..HeaderValue::default() }),
        append_action: i32::from(action),
        ..HeaderValueOption::default()
    }
}

#[cfg(test)]
mod tests;
