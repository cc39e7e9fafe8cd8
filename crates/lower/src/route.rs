//! A route: one match of one rule. Encoded by itself, so that a change of one route is the work of one route.
//!
//! It is kept lean: what Envoy does with a route table at each update grows with the number of fields in it. What only some
//! routes need (metadata, filters) only they carry, and a route says who made it by its name alone.

mod action;
mod matching;
mod redirect;
mod respond;
mod retry;
mod rewrite;

use bytes::Bytes;
use envoy::{
    Message,
    route::{self, route::Action as Specifier},
};
use ir::{Action, Route};

use crate::{convert::header_options, filters, metadata};

/// What else the encoding of a route depends on. When it changes, all routes are encoded anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteOptions {
    /// Routes carry the resource they were made from, for logs that ask for it.
    pub(crate) metadata: bool,
}

/// The encoded Envoy routes of a route: one as a rule.
pub(crate) fn encode(route: &Route, options: RouteOptions) -> Vec<Bytes> {
    let lowered = lower(route, options);
    redirect::by_port(route, lowered).iter().map(|route| route.encode_to_vec().into()).collect()
}

fn lower(route: &Route, options: RouteOptions) -> route::Route {
    let (specifier, response_headers) = match &*route.action {
        Action::Forward(forward) => (Specifier::Route(action::forward(&route.matcher, forward)), None),
        Action::Redirect(redirect) => (Specifier::Redirect(redirect::redirect(&route.matcher, redirect)), None),
        Action::Respond(respond) => {
            (Specifier::DirectResponse(respond::respond(respond)), Some(respond::headers(respond)))
        }
    };
    let filters::RouteFilters {
        request_headers,
        response_headers: from_filters,
        typed_per_filter_config,
        needs_metadata,
    } = filters::of_route(route);
    let mut response = header_options(from_filters);
    response.extend(response_headers.unwrap_or_default());
    route::Route {
        name: route.name.to_string(),
        r#match: Some(matching::lower(&route.matcher)),
        action: Some(specifier),
        metadata: (options.metadata || needs_metadata).then(|| metadata::of_route(&route.source)),
        request_headers_to_add: header_options(request_headers),
        request_headers_to_remove: request_headers.remove.clone(),
        response_headers_to_add: response,
        response_headers_to_remove: from_filters.remove.clone(),
        typed_per_filter_config,
        ..Default::default()
    }
}
