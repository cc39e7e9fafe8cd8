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

use std::sync::Arc;

use bytes::Bytes;
use envoy::{
    Message,
    route::{self, route::Action as Specifier},
};
use ir::{Action, Route};

use crate::{
    convert::header_options,
    filters::{self, Needs},
    metadata,
};

/// What else the encoding of a route depends on. When it changes, all routes are encoded anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteOptions {
    /// Routes carry the resource they were made from, for logs that ask for it.
    pub(crate) metadata: bool,
    /// Routes carry what they promise, for the service that watches it.
    pub(crate) objectives: bool,
}

/// What was made from a route.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The encoded Envoy route.
    message: Bytes,
    /// Another one after it, for the few that need two.
    second: Option<Box<Bytes>>,
    /// The characters that its paths begin with.
    pub(crate) beginning: Arc<str>,
    /// What it needs of the filter chain, if anything.
    pub(crate) needs: Option<Box<Needs>>,
}

impl Encoded {
    /// The encoded Envoy routes: one as a rule.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Bytes> + Clone {
        std::iter::once(&self.message).chain(self.second.as_deref())
    }
}

/// Encodes a route.
pub(crate) fn encode(route: &Route, options: RouteOptions) -> Encoded {
    let lowered = lower(route, options);
    let with_port = redirect::with_port(route, &lowered);
    let (first, second) = match with_port {
        Some(with_port) => (with_port, Some(lowered)),
        None => (lowered, None),
    };
    let needs = Needs::of_route(route);
    Encoded {
        message: first.encode_to_vec().into(),
        second: second.map(|route| Box::new(route.encode_to_vec().into())),
        beginning: matching::beginning(&route.matcher).into(),
        needs: (needs != Needs::default()).then(|| Box::new(needs)),
    }
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
        metadata: metadata::of_route(&route.source, options.metadata || needs_metadata, options.objectives),
        request_headers_to_add: header_options(request_headers),
        request_headers_to_remove: request_headers.remove.clone(),
        response_headers_to_add: response,
        response_headers_to_remove: from_filters.remove.clone(),
        typed_per_filter_config,
        ..Default::default()
    }
}
