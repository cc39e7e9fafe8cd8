//! A request is answered at once.

use envoy::{core::HeaderValueOption, route::DirectResponseAction};
use ir::route::{HeaderMutation, Respond};

use crate::convert::{header_options, inline_bytes};

/// The action of a route that answers.
pub(super) fn respond(respond: &Respond) -> DirectResponseAction {
    DirectResponseAction {
        status: respond.status.into(),
        body: respond.body.as_ref().filter(|body| !body.is_empty()).map(|body| inline_bytes(body)),
        ..Default::default()
    }
}

/// The headers of the answer.
pub(super) fn headers(respond: &Respond) -> Vec<HeaderValueOption> {
    let content_type = respond.content_type.iter().map(|value| ("content-type".to_owned(), value.clone()));
    let content_type = HeaderMutation { set: content_type.collect(), ..HeaderMutation::default() };
    let mut headers = header_options(&content_type);
    headers.extend(header_options(&respond.headers));
    headers
}
