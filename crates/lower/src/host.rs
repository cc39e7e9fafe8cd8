//! Virtual hosts: their routes put together from bytes.

mod tree;

use bytes::Bytes;
use envoy::{
    Message,
    route::{
        self, DirectResponseAction, HeaderMatcher, RouteMatch, VirtualCluster, header_matcher::HeaderMatchSpecifier,
        route::Action, route_match::PathSpecifier,
    },
};
use ir::{Route, VirtualHost};

use self::tree::TreeMemo;
use crate::{
    filters::Needs,
    kept::{Kept, equal},
    route::{Encoded, RouteOptions, encode},
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
    routes: Kept<Route, Encoded>,
    tree: TreeMemo,
    /// What its routes need of the filter chain.
    pub(crate) needs: Needs,
    /// The encoded virtual host.
    pub(crate) bytes: Bytes,
}

impl HostMemo {
    /// Brings it up to date.
    pub(crate) fn update(mut self, host: &VirtualHost, options: HostOptions) -> Self {
        if self.routes.update(host.routes.iter(), name_of, equal, |route, _| encode(route, options.route)) {
            self.needs = Needs::default();
            let needs = self.routes.iter().filter_map(|(_, encoded)| encoded.needs.as_deref());
            needs.for_each(|needs| self.needs.add(needs));
            self.tree.update(&self.routes);
        }
        self.bytes = if host.misdirected { misdirected(host) } else { self.assemble(host, options) }.into();
        self
    }

    fn assemble(&self, host: &VirtualHost, options: HostOptions) -> Vec<u8> {
        let mut shell = shell(host);
        if options.stats {
            shell.virtual_clusters = vec![every_request(&host.domain)];
        }
        let mut out = shell.encode_to_vec();
        if self.tree.put(&self.routes, &mut out) {
            return out;
        }
        let messages = self.routes.iter().flat_map(|(_, encoded)| encoded.messages());
        out.reserve_exact(messages.clone().map(|route| wire::size(wire::HOST_ROUTES, route.len())).sum());
        messages.for_each(|route| wire::put_message(&mut out, wire::HOST_ROUTES, route));
        out
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

/// Counts all requests of a host under its name.
fn every_request(domain: &str) -> VirtualCluster {
    let any = HeaderMatcher {
        name: ":method".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
        ..Default::default()
    };
    VirtualCluster { name: domain.to_owned(), headers: vec![any] }
}
