//! Answers to Envoy.

use bytes::Bytes;
use envoy::core::header_value_option::HeaderAppendAction;
use envoy::core::{HeaderValue, HeaderValueOption};
use envoy::ext::http::ext_proc::ProcessingMode;
use envoy::service::ext_proc::body_mutation::Mutation;
use envoy::service::ext_proc::common_response::ResponseStatus;
use envoy::service::ext_proc::processing_response::Response as Message;
use envoy::service::ext_proc::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, ImmediateResponse, ProcessingResponse,
    StreamedBodyResponse, TrailersResponse,
};
use envoy::types::HttpStatus;
use envoy::{ListValue, Struct, Value, ValueKind};

use crate::inspect::Inspection;
use crate::page::{Reader, page};
use crate::select::NAMESPACE;
use crate::verdict::{Reason, Refusal, telling};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the upstream.
    Request,
    /// Back.
    Response,
}

/// What an answer is to.
#[derive(Debug)]
pub(super) enum Reply {
    /// A head; with what is to be sent next.
    Headers(Direction, Option<ProcessingMode>),
    /// A body, or a piece of one.
    Body(Direction),
    /// Trailers.
    Trailers(Direction),
}

impl Reply {
    /// The answer that lets it go on.
    pub(super) fn go_on(&self) -> ProcessingResponse {
        let common = || Some(CommonResponse { status: ResponseStatus::Continue.into(), ..CommonResponse::default() });
        let (message, mode_override) = match self {
            Self::Headers(Direction::Request, mode) => {
                (Message::RequestHeaders(HeadersResponse { response: common() }), *mode)
            }
            Self::Headers(Direction::Response, mode) => {
                (Message::ResponseHeaders(HeadersResponse { response: common() }), *mode)
            }
            Self::Body(Direction::Request) => (Message::RequestBody(BodyResponse { response: common() }), None),
            Self::Body(Direction::Response) => (Message::ResponseBody(BodyResponse { response: common() }), None),
            Self::Trailers(Direction::Request) => (Message::RequestTrailers(TrailersResponse::default()), None),
            Self::Trailers(Direction::Response) => (Message::ResponseTrailers(TrailersResponse::default()), None),
        };
        ProcessingResponse { response: Some(message), mode_override, ..ProcessingResponse::default() }
    }

    /// Whether what is known of the request is worth telling with this answer.
    pub(super) fn ends_request(&self) -> bool {
        !matches!(self, Self::Headers(Direction::Response, _))
    }
}

/// Envoy asks for pieces of at most this size.
const PIECE: usize = 64 << 10;

/// Pieces of a duplex body that go on now; with `last` the body ends with them.
pub(super) fn pieces(direction: Direction, held: Vec<Bytes>, last: bool) -> Vec<ProcessingResponse> {
    let small = |bytes: Bytes| {
        (0..bytes.len().max(1)).step_by(PIECE).map(move |at| bytes.slice(at..bytes.len().min(at + PIECE)))
    };
    let all: Vec<Bytes> = held.into_iter().flat_map(small).collect();
    let count = all.len();
    all.into_iter().enumerate().map(|(index, bytes)| piece(direction, &bytes, last && index + 1 == count)).collect()
}

/// Pieces that waited for trailers, which end the body.
pub(super) fn pieces_before(reply: &Reply, held: Vec<Bytes>) -> Vec<ProcessingResponse> {
    match reply {
        Reply::Trailers(direction) => pieces(*direction, held, false),
        Reply::Headers(..) | Reply::Body(_) => Vec::new(),
    }
}

fn piece(direction: Direction, bytes: &Bytes, last: bool) -> ProcessingResponse {
    let streamed =
        StreamedBodyResponse { body: bytes.to_vec(), end_of_stream: last, ..StreamedBodyResponse::default() };
    let mutation = BodyMutation { mutation: Some(Mutation::StreamedResponse(streamed)) };
    let response = Some(CommonResponse { body_mutation: Some(mutation), ..CommonResponse::default() });
    let message = match direction {
        Direction::Request => Message::RequestBody(BodyResponse { response }),
        Direction::Response => Message::ResponseBody(BodyResponse { response }),
    };
    ProcessingResponse { response: Some(message), ..ProcessingResponse::default() }
}

/// The answer in place of the upstream's.
pub(super) fn refusal(
    refusal: &Refusal,
    reader: &Reader,
    name_rules: bool,
    metadata: Option<Struct>,
) -> ProcessingResponse {
    let page = page(refusal, reader, name_rules);
    let mut set_headers = vec![header("content-type", page.content_type), header("cache-control", "no-store")];
    set_headers.extend(refusal.location.as_ref().map(|to| header("location", to)));
    if refusal.reason == Reason::Overload {
        set_headers.push(header("retry-after", "1"));
    }
    let answer = ImmediateResponse {
        status: Some(HttpStatus { code: refusal.status.into() }),
        headers: Some(HeaderMutation { set_headers, ..HeaderMutation::default() }),
        body: page.body.into_bytes(),
        details: format!("waf_{}", refusal.reason.name()),
        ..ImmediateResponse::default()
    };
    ProcessingResponse {
        response: Some(Message::ImmediateResponse(answer)),
        dynamic_metadata: metadata,
        ..ProcessingResponse::default()
    }
}

fn header(name: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), raw_value: value.as_bytes().to_vec(), ..HeaderValue::default() };
    HeaderValueOption {
        header: Some(header),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

/// What logs, rate limits and the exporter may know: profile, verdict, scores and rules. Nothing of what was sent.
pub(super) fn metadata(inspection: &Inspection) -> Struct {
    let plan = &inspection.profile().plan;
    let refused = inspection.refused();
    let verdict = match refused {
        Some(_) if plan.blocks() => "block",
        Some(_) => "detect",
        None => "pass",
    };
    let step = inspection.step();
    let rules = match refused {
        Some(refusal) => refusal.rules.clone(),
        None if step.is_some_and(|step| step.matches > 0) => telling(&inspection.matches()),
        None => Vec::new(),
    };
    let rules = rules.into_iter().map(|rule| number(rule.into())).collect();
    let fields = [
        ("profile", text(&plan.name)),
        ("verdict", text(verdict)),
        ("request", text(&inspection.exchange.id)),
        ("score", number(step.map_or(0, |step| step.inbound).into())),
        ("outbound_score", number(step.map_or(0, |step| step.outbound).into())),
        ("rules", Value { kind: Some(ValueKind::ListValue(ListValue { values: rules })) }),
    ];
    let fields = Struct { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() };
    let value = Value { kind: Some(ValueKind::StructValue(fields)) };
    Struct { fields: [(NAMESPACE.to_owned(), value)].into_iter().collect() }
}

fn text(text: &str) -> Value {
    Value { kind: Some(ValueKind::StringValue(text.to_owned())) }
}

fn number(number: f64) -> Value {
    Value { kind: Some(ValueKind::NumberValue(number)) }
}
