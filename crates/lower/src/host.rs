//! Virtual hosts: their routes put together from bytes.

mod tree;

use std::sync::Arc;

use bytes::Bytes;
use envoy::{
    Message,
    route::{
        self, DirectResponseAction, HeaderMatcher, RouteMatch, VirtualCluster, header_matcher::HeaderMatchSpecifier,
        route::Action, route_match::PathSpecifier,
    },
};
use ir::{Route, VirtualHost};

use crate::{
    filters::Needs,
    kept::{Kept, equal},
    route::{RouteOptions, encode},
    wire,
};

/// The status of a request that came by a connection for another host (RFC 9110, 15.5.20).
const MISDIRECTED: u32 = 421;

/// What else the encoding of a host depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostOptions {
    pub(crate) route: RouteOptions,
    /// Requests are counted by host.
    pub(crate) stats: bool,
}

/// What was made from a host.
#[derive(Debug, Default)]
pub(crate) struct HostMemo {
    routes: Kept<Route, RouteMemo>,
    /// What its routes need of the filter chain.
    pub(crate) needs: Needs,
    /// The encoded virtual host.
    pub(crate) bytes: Bytes,
}

/// The Envoy routes of a route, encoded one by one.
pub(crate) type RouteMemo = Vec<Bytes>;

impl HostMemo {
    /// Brings it up to date.
    pub(crate) fn update(mut self, host: &VirtualHost, options: HostOptions) -> Self {
        let changed = self.routes.update(host.routes.iter(), name_of, equal, |route, _| encode(route, options.route));
        if changed || self.bytes.is_empty() {
            self.needs = Needs::default();
            host.routes.iter().for_each(|route| self.needs.add_route(route));
        }
        self.bytes = if host.misdirected { misdirected(host) } else { assemble(host, options, &self.routes) }.into();
        self
    }
}

fn name_of(route: &Route) -> &str {
    &route.name
}

fn shell(host: &VirtualHost) -> route::VirtualHost {
    route::VirtualHost { name: host.domain.to_string(), domains: vec![host.domain.to_string()], ..Default::default() }
}

fn misdirected(host: &VirtualHost) -> Vec<u8> {
    let route = route::Route {
        name: "misdirected".to_owned(),
        r#match: Some(RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..Default::default() }),
        action: Some(Action::DirectResponse(DirectResponseAction { status: MISDIRECTED, ..Default::default() })),
        ..Default::default()
    };
    route::VirtualHost { routes: vec![route], ..shell(host) }.encode_to_vec()
}

fn assemble(host: &VirtualHost, options: HostOptions, routes: &Kept<Route, RouteMemo>) -> Vec<u8> {
    let mut shell = shell(host);
    if options.stats {
        shell.virtual_clusters = vec![every_request(&host.domain)];
    }
    let routes: Vec<(&Arc<Route>, &RouteMemo)> = routes.iter().map(|(route, encoded)| (route, encoded)).collect();
    if let Some(matcher) = tree::matcher(&routes) {
        shell.matcher = Some(matcher);
        return shell.encode_to_vec();
    }
    let encoded = routes.iter().flat_map(|(_, encoded)| encoded.iter());
    let size: usize = encoded.clone().map(|route| wire::bound(route.len())).sum();
    let mut out = Vec::with_capacity(size + shell.encoded_len());
    shell.encode(&mut out).expect("a vector takes all that is put into it");
    encoded.for_each(|route| wire::put_message(&mut out, wire::HOST_ROUTES, route));
    out
}

/// Counts all requests of a host under its name.
fn every_request(domain: &str) -> VirtualCluster {
    let any = HeaderMatcher {
        name: ":method".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
        ..Default::default()
    };
    VirtualCluster { name: domain.to_owned(), headers: vec![any] }
}
