//! The HTTP connection manager. Where a setting differs from Envoy's default, the reason stands beside it; most are those of
//! Envoy's guide for edge proxies, for clients that nobody vouches for.

use envoy::{
    core::{CidrRange, Http2ProtocolOptions, HttpProtocolOptions, http_protocol_options::HeadersWithUnderscoresAction},
    hcm::{
        HttpConnectionManager, Rds,
        http_connection_manager::{
            InternalAddressConfig, PathWithEscapedSlashesAction, RouteSpecifier, ServerHeaderTransformation,
            UpgradeConfig,
        },
    },
    listener::Filter,
};
use ir::{Listener, api::ObjectRef};

use super::network_filter;
use crate::{
    access_log,
    convert::{ads, http2_windows, seconds},
    http_filters::{self, Chain},
    scope::Scope,
    table::TableMemo,
    tracing,
};

/// Streams of one HTTP/2 connection at once: a client cannot ask for the unbounded.
const MOST_STREAMS: u32 = 100;

/// The filter, and the resources that asked for HTTP filters in it.
pub(super) fn filter(scope: &Scope<'_>, listener: &Listener, tls: bool, table: &TableMemo) -> (Filter, Vec<ObjectRef>) {
    let (http_filters, sources) = http_filters::chain(&Chain { needs: &table.needs, scope });
    let manager = HttpConnectionManager {
        stat_prefix: format!("{}-{}", if tls { "https" } else { "http" }, listener.port),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: table.name.to_string(),
        })),
        http_filters,
        access_log: access_log::of_requests(scope),
        tracing: tracing::of_requests(scope),
        upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket".to_owned(), ..Default::default() }],
        ..edge()
    };
    (network_filter("envoy.filters.network.http_connection_manager", &manager), sources)
}

/// An empty list of internal addresses stands for all private ones, and behind a load balancer every client has such an
/// address. So the list has an address that nobody has.
fn nobody() -> InternalAddressConfig {
    let broadcast = CidrRange { address_prefix: "255.255.255.255".to_owned(), prefix_len: Some(32) };
    InternalAddressConfig { cidr_ranges: vec![broadcast], ..Default::default() }
}

/// What is the same everywhere.
fn edge() -> HttpConnectionManager {
    HttpConnectionManager {
        // The client is who opened the connection, whatever it says in X-Forwarded-For.
        use_remote_address: Some(true),
        // No client is one of ours: internal headers (`x-envoy-*`) are taken off all requests.
        internal_address_config: Some(nobody()),
        // Routes, policies and back ends must mean the same path: `/a/../b` and `/a//b` become what they mean, and a
        // slash that hides as %2F is shown to the client instead of being guessed at.
        normalize_path: Some(true),
        merge_slashes: true,
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::UnescapeAndRedirect.into(),
        // `example.com.` is `example.com`, and must not fall to the routes of another host.
        strip_trailing_host_dot: true,
        // The back end's word; Envoy's own name is of use to attackers only.
        server_header_transformation: ServerHeaderTransformation::PassThrough.into(),
        common_http_protocol_options: Some(HttpProtocolOptions {
            idle_timeout: seconds(3600),
            // Many back ends take `X_User` for `X-User`, which our filters would have removed.
            headers_with_underscores_action: HeadersWithUnderscoresAction::RejectRequest.into(),
            ..Default::default()
        }),
        http2_protocol_options: Some(Http2ProtocolOptions {
            max_concurrent_streams: Some(MOST_STREAMS),
            ..http2_windows()
        }),
        // A client may not keep a connection by sending its headers slowly. There is no limit for whole requests: uploads
        // and streams may last, as long as something moves within five minutes (Envoy's default for idle streams).
        request_headers_timeout: seconds(10),
        ..Default::default()
    }
}
