//! Envoy's extensions by what they are for: short names for the packages below `envoy.extensions`.
//!
//! The group says where an extension plugs in, the name is Envoy's own: `ext::http::cors` is
//! `envoy.extensions.filters.http.cors.v3`, `ext::lb::maglev` is `envoy.extensions.load_balancing_policies.maglev.v3`.

/// HTTP filters.
pub mod http {
    pub use crate::pb::envoy::extensions::filters::http::adaptive_concurrency::v3 as adaptive_concurrency;
    pub use crate::pb::envoy::extensions::filters::http::admission_control::v3 as admission_control;
    pub use crate::pb::envoy::extensions::filters::http::api_key_auth::v3 as api_key_auth;
    pub use crate::pb::envoy::extensions::filters::http::bandwidth_limit::v3 as bandwidth_limit;
    pub use crate::pb::envoy::extensions::filters::http::basic_auth::v3 as basic_auth;
    pub use crate::pb::envoy::extensions::filters::http::buffer::v3 as buffer;
    pub use crate::pb::envoy::extensions::filters::http::composite::v3 as composite;
    pub use crate::pb::envoy::extensions::filters::http::compressor::v3 as compressor;
    pub use crate::pb::envoy::extensions::filters::http::cors::v3 as cors;
    pub use crate::pb::envoy::extensions::filters::http::credential_injector::v3 as credential_injector;
    pub use crate::pb::envoy::extensions::filters::http::csrf::v3 as csrf;
    pub use crate::pb::envoy::extensions::filters::http::custom_response::v3 as custom_response;
    pub use crate::pb::envoy::extensions::filters::http::decompressor::v3 as decompressor;
    pub use crate::pb::envoy::extensions::filters::http::dynamic_forward_proxy::v3 as dynamic_forward_proxy;
    pub use crate::pb::envoy::extensions::filters::http::dynamic_modules::v3 as dynamic_modules;
    pub use crate::pb::envoy::extensions::filters::http::ext_authz::v3 as ext_authz;
    pub use crate::pb::envoy::extensions::filters::http::ext_proc::v3 as ext_proc;
    pub use crate::pb::envoy::extensions::filters::http::fault::v3 as fault;
    pub use crate::pb::envoy::extensions::filters::http::geoip::v3 as geoip;
    pub use crate::pb::envoy::extensions::filters::http::grpc_http1_bridge::v3 as grpc_http1_bridge;
    pub use crate::pb::envoy::extensions::filters::http::grpc_json_transcoder::v3 as grpc_json_transcoder;
    pub use crate::pb::envoy::extensions::filters::http::grpc_stats::v3 as grpc_stats;
    pub use crate::pb::envoy::extensions::filters::http::grpc_web::v3 as grpc_web;
    pub use crate::pb::envoy::extensions::filters::http::header_mutation::v3 as header_mutation;
    pub use crate::pb::envoy::extensions::filters::http::header_to_metadata::v3 as header_to_metadata;
    pub use crate::pb::envoy::extensions::filters::http::health_check::v3 as health_check;
    pub use crate::pb::envoy::extensions::filters::http::jwt_authn::v3 as jwt_authn;
    pub use crate::pb::envoy::extensions::filters::http::local_ratelimit::v3 as local_ratelimit;
    pub use crate::pb::envoy::extensions::filters::http::lua::v3 as lua;
    pub use crate::pb::envoy::extensions::filters::http::oauth2::v3 as oauth2;
    pub use crate::pb::envoy::extensions::filters::http::on_demand::v3 as on_demand;
    pub use crate::pb::envoy::extensions::filters::http::ratelimit::v3 as ratelimit;
    pub use crate::pb::envoy::extensions::filters::http::rbac::v3 as rbac;
    pub use crate::pb::envoy::extensions::filters::http::router::v3 as router;
    pub use crate::pb::envoy::extensions::filters::http::set_filter_state::v3 as set_filter_state;
    pub use crate::pb::envoy::extensions::filters::http::set_metadata::v3 as set_metadata;
    pub use crate::pb::envoy::extensions::filters::http::stateful_session::v3 as stateful_session;
    pub use crate::pb::envoy::extensions::filters::http::tap::v3 as tap;
    pub use crate::pb::envoy::extensions::filters::http::upstream_codec::v3 as upstream_codec;
    pub use crate::pb::envoy::extensions::filters::http::wasm::v3 as wasm;
}

/// Network filters: those of TCP connections. The HTTP connection manager is also [`crate::hcm`].
pub mod network {
    pub use crate::pb::envoy::extensions::filters::network::connection_limit::v3 as connection_limit;
    pub use crate::pb::envoy::extensions::filters::network::direct_response::v3 as direct_response;
    pub use crate::pb::envoy::extensions::filters::network::echo::v3 as echo;
    pub use crate::pb::envoy::extensions::filters::network::ext_authz::v3 as ext_authz;
    pub use crate::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http_connection_manager;
    pub use crate::pb::envoy::extensions::filters::network::local_ratelimit::v3 as local_ratelimit;
    pub use crate::pb::envoy::extensions::filters::network::rbac::v3 as rbac;
    pub use crate::pb::envoy::extensions::filters::network::set_filter_state::v3 as set_filter_state;
    pub use crate::pb::envoy::extensions::filters::network::sni_dynamic_forward_proxy::v3 as sni_dynamic_forward_proxy;
    pub use crate::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp_proxy;
}

/// Listener filters, which see a connection before its filter chain is chosen.
pub mod listener {
    pub use crate::pb::envoy::extensions::filters::listener::http_inspector::v3 as http_inspector;
    pub use crate::pb::envoy::extensions::filters::listener::local_ratelimit::v3 as local_ratelimit;
    pub use crate::pb::envoy::extensions::filters::listener::original_dst::v3 as original_dst;
    pub use crate::pb::envoy::extensions::filters::listener::proxy_protocol::v3 as proxy_protocol;
    pub use crate::pb::envoy::extensions::filters::listener::tls_inspector::v3 as tls_inspector;
}

/// UDP filters.
pub mod udp {
    pub use crate::pb::envoy::extensions::filters::udp::udp_proxy::v3 as udp_proxy;
}

/// Access loggers.
pub mod access_log {
    pub use crate::pb::envoy::extensions::access_loggers::file::v3 as file;
    pub use crate::pb::envoy::extensions::access_loggers::filters::cel::v3 as cel_filter;
    pub use crate::pb::envoy::extensions::access_loggers::grpc::v3 as grpc;
    pub use crate::pb::envoy::extensions::access_loggers::open_telemetry::v3 as open_telemetry;
    pub use crate::pb::envoy::extensions::access_loggers::stream::v3 as stream;
}

/// Commands that access log formats may use beside the built-in ones.
pub mod formatter {
    pub use crate::pb::envoy::extensions::formatter::cel::v3 as cel;
    pub use crate::pb::envoy::extensions::formatter::metadata::v3 as metadata;
    pub use crate::pb::envoy::extensions::formatter::req_without_query::v3 as req_without_query;
}

/// OpenTelemetry's samplers and resource detectors; the tracers themselves are in [`crate::trace`].
pub mod tracer {
    pub use crate::pb::envoy::extensions::tracers::opentelemetry::resource_detectors::v3 as resource_detectors;
    pub use crate::pb::envoy::extensions::tracers::opentelemetry::samplers::v3 as samplers;
}

/// Where metrics are pushed to.
pub mod stat_sink {
    pub use crate::pb::envoy::extensions::stat_sinks::open_telemetry::v3 as open_telemetry;
}

/// Load balancing policies.
pub mod lb {
    pub use crate::pb::envoy::extensions::load_balancing_policies::client_side_weighted_round_robin::v3 as client_side_weighted_round_robin;
    pub use crate::pb::envoy::extensions::load_balancing_policies::cluster_provided::v3 as cluster_provided;
    pub use crate::pb::envoy::extensions::load_balancing_policies::common::v3 as common;
    pub use crate::pb::envoy::extensions::load_balancing_policies::dynamic_modules::v3 as dynamic_modules;
    pub use crate::pb::envoy::extensions::load_balancing_policies::least_request::v3 as least_request;
    pub use crate::pb::envoy::extensions::load_balancing_policies::maglev::v3 as maglev;
    pub use crate::pb::envoy::extensions::load_balancing_policies::override_host::v3 as override_host;
    pub use crate::pb::envoy::extensions::load_balancing_policies::pick_first::v3 as pick_first;
    pub use crate::pb::envoy::extensions::load_balancing_policies::random::v3 as random;
    pub use crate::pb::envoy::extensions::load_balancing_policies::ring_hash::v3 as ring_hash;
    pub use crate::pb::envoy::extensions::load_balancing_policies::round_robin::v3 as round_robin;
    pub use crate::pb::envoy::extensions::load_balancing_policies::subset::v3 as subset;
    pub use crate::pb::envoy::extensions::load_balancing_policies::wrr_locality::v3 as wrr_locality;
}

/// Kinds of clusters beyond the built-in ones.
pub mod clusters {
    pub use crate::pb::envoy::extensions::clusters::aggregate::v3 as aggregate;
    pub use crate::pb::envoy::extensions::clusters::common::dns::v3 as dns_common;
    pub use crate::pb::envoy::extensions::clusters::dns::v3 as dns;
    pub use crate::pb::envoy::extensions::clusters::dynamic_forward_proxy::v3 as dynamic_forward_proxy;
    pub use crate::pb::envoy::extensions::clusters::original_dst::v3 as original_dst;
}

/// A cluster's protocol options, and the router's connection pools.
pub mod upstream {
    pub use crate::pb::envoy::extensions::upstreams::http::generic::v3 as http_generic;
    pub use crate::pb::envoy::extensions::upstreams::http::http::v3 as http_pool;
    pub use crate::pb::envoy::extensions::upstreams::http::tcp::v3 as http_tcp_pool;
    pub use crate::pb::envoy::extensions::upstreams::http::v3 as http;
    pub use crate::pb::envoy::extensions::upstreams::tcp::generic::v3 as tcp_generic;
    pub use crate::pb::envoy::extensions::upstreams::tcp::v3 as tcp;
}

/// Transport sockets. TLS and the secrets are also [`crate::tls`].
pub mod transport_socket {
    pub use crate::pb::envoy::extensions::transport_sockets::http_11_proxy::v3 as http_11_proxy;
    pub use crate::pb::envoy::extensions::transport_sockets::internal_upstream::v3 as internal_upstream;
    pub use crate::pb::envoy::extensions::transport_sockets::proxy_protocol::v3 as proxy_protocol;
    pub use crate::pb::envoy::extensions::transport_sockets::quic::v3 as quic;
    pub use crate::pb::envoy::extensions::transport_sockets::raw_buffer::v3 as raw_buffer;
    pub use crate::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
}

/// Compressors and decompressors.
pub mod compression {
    pub use crate::pb::envoy::extensions::compression::brotli::compressor::v3 as brotli_compressor;
    pub use crate::pb::envoy::extensions::compression::brotli::decompressor::v3 as brotli_decompressor;
    pub use crate::pb::envoy::extensions::compression::gzip::compressor::v3 as gzip_compressor;
    pub use crate::pb::envoy::extensions::compression::gzip::decompressor::v3 as gzip_decompressor;
    pub use crate::pb::envoy::extensions::compression::zstd::compressor::v3 as zstd_compressor;
    pub use crate::pb::envoy::extensions::compression::zstd::decompressor::v3 as zstd_decompressor;
}

/// What matcher trees look at and match with, beside [`crate::matcher`] and [`crate::xds_matcher`].
pub mod matching {
    pub use crate::pb::envoy::extensions::common::matching::v3 as extension_with_matcher;
    pub use crate::pb::envoy::extensions::filters::common::matcher::action::v3 as action;
    pub use crate::pb::envoy::extensions::matching::common_inputs::environment_variable::v3 as environment_input;
    pub use crate::pb::envoy::extensions::matching::common_inputs::network::v3 as network_inputs;
    pub use crate::pb::envoy::extensions::matching::common_inputs::ssl::v3 as ssl_inputs;
    pub use crate::pb::envoy::extensions::matching::input_matchers::consistent_hashing::v3 as consistent_hashing;
    pub use crate::pb::envoy::extensions::matching::input_matchers::ip::v3 as ip;
    pub use crate::pb::envoy::extensions::matching::input_matchers::metadata::v3 as metadata;
    pub use crate::pb::envoy::extensions::matching::input_matchers::runtime_fraction::v3 as runtime_fraction;
    pub use crate::pb::envoy::extensions::regex_engines::v3 as regex_engine;
    pub use crate::pb::envoy::extensions::string_matcher::lua::v3 as lua_string;
}

/// Policies of the custom response filter.
pub mod custom_response {
    pub use crate::pb::envoy::extensions::http::custom_response::local_response_policy::v3 as local_response_policy;
    pub use crate::pb::envoy::extensions::http::custom_response::redirect_policy::v3 as redirect_policy;
}

/// Credentials of the credential injector.
pub mod credential {
    pub use crate::pb::envoy::extensions::http::injected_credentials::generic::v3 as generic;
    pub use crate::pb::envoy::extensions::http::injected_credentials::oauth2::v3 as oauth2;
}

/// Session state of the stateful session filter.
pub mod session {
    pub use crate::pb::envoy::extensions::http::stateful_session::cookie::v3 as cookie;
    pub use crate::pb::envoy::extensions::http::stateful_session::envelope::v3 as envelope;
    pub use crate::pb::envoy::extensions::http::stateful_session::header::v3 as header;
}

/// How the connection manager finds the true client address.
pub mod original_ip {
    pub use crate::pb::envoy::extensions::http::original_ip_detection::custom_header::v3 as custom_header;
    pub use crate::pb::envoy::extensions::http::original_ip_detection::xff::v3 as xff;
}

/// Smaller extensions of the connection manager and its routes.
pub mod http_options {
    pub use crate::pb::envoy::extensions::early_data::v3 as early_data;
    pub use crate::pb::envoy::extensions::http::early_header_mutation::header_mutation::v3 as header_mutation;
    pub use crate::pb::envoy::extensions::http::header_formatters::preserve_case::v3 as preserve_case;
    pub use crate::pb::envoy::extensions::http::header_validators::envoy_default::v3 as header_validator;
    pub use crate::pb::envoy::extensions::internal_redirect::allow_listed_routes::v3 as allow_listed_routes;
    pub use crate::pb::envoy::extensions::internal_redirect::previous_routes::v3 as previous_routes;
    pub use crate::pb::envoy::extensions::internal_redirect::safe_cross_scheme::v3 as safe_cross_scheme;
    pub use crate::pb::envoy::extensions::path::r#match::uri_template::v3 as uri_template_match;
    pub use crate::pb::envoy::extensions::path::rewrite::uri_template::v3 as uri_template_rewrite;
    pub use crate::pb::envoy::extensions::rate_limit_descriptors::expr::v3 as rate_limit_expr;
    pub use crate::pb::envoy::extensions::rbac::principals::mtls_authenticated::v3 as mtls_authenticated;
    pub use crate::pb::envoy::extensions::request_id::uuid::v3 as request_id_uuid;
    pub use crate::pb::envoy::extensions::router::cluster_specifiers::lua::v3 as lua_cluster;
    pub use crate::pb::envoy::extensions::router::cluster_specifiers::matcher::v3 as matcher_cluster;
}

/// Which hosts and priorities a retry goes to.
pub mod retry {
    pub use crate::pb::envoy::extensions::retry::host::omit_canary_hosts::v3 as omit_canary_hosts;
    pub use crate::pb::envoy::extensions::retry::host::previous_hosts::v3 as previous_hosts;
    pub use crate::pb::envoy::extensions::retry::priority::previous_priorities::v3 as previous_priorities;
}

/// Messages that several extensions share.
pub mod shared {
    pub use crate::pb::envoy::extensions::common::dynamic_forward_proxy::v3 as dynamic_forward_proxy;
    pub use crate::pb::envoy::extensions::common::ratelimit::v3 as ratelimit;
    pub use crate::pb::envoy::extensions::common::tap::v3 as tap;
    pub use crate::pb::envoy::extensions::dynamic_modules::v3 as dynamic_modules;
    pub use crate::pb::envoy::extensions::filters::common::fault::v3 as fault;
    pub use crate::pb::envoy::extensions::filters::common::set_filter_state::v3 as set_filter_state;
    pub use crate::pb::envoy::extensions::geoip_providers::common::v3 as geoip;
    pub use crate::pb::envoy::extensions::geoip_providers::maxmind::v3 as maxmind;
    pub use crate::pb::envoy::extensions::wasm::v3 as wasm;
}

/// DNS resolvers and socket interfaces.
pub mod resolver {
    pub use crate::pb::envoy::extensions::network::dns_resolver::cares::v3 as cares;
    pub use crate::pb::envoy::extensions::network::dns_resolver::getaddrinfo::v3 as getaddrinfo;
    pub use crate::pb::envoy::extensions::network::dns_resolver::hickory::v3 as hickory;
    pub use crate::pb::envoy::extensions::network::socket_interface::v3 as socket_interface;
}

/// QUIC and UDP.
pub mod quic {
    pub use crate::pb::envoy::extensions::quic::connection_id_generator::v3 as connection_id_generator;
    pub use crate::pb::envoy::extensions::quic::crypto_stream::v3 as crypto_stream;
    pub use crate::pb::envoy::extensions::quic::proof_source::v3 as proof_source;
    pub use crate::pb::envoy::extensions::udp_packet_writer::v3 as udp_packet_writer;
}

/// What the overload manager watches.
pub mod overload {
    pub use crate::pb::envoy::extensions::resource_monitors::downstream_connections::v3 as downstream_connections;
    pub use crate::pb::envoy::extensions::resource_monitors::fixed_heap::v3 as fixed_heap;
}

/// Extensions of the bootstrap and of health checks.
pub mod server {
    pub use crate::pb::envoy::extensions::bootstrap::internal_listener::v3 as internal_listener;
    pub use crate::pb::envoy::extensions::health_check::event_sinks::file::v3 as health_event_file;
}
