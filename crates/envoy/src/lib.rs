//! Envoy's protobuf types behind one facade.
//!
//! ```text
//! envoy::pb          everything, generated, in Envoy's own packages: pb::envoy::config::route::v3::Route
//! envoy::<name>      the packages met every day: route::Route, core::Address, hcm::HttpConnectionManager
//! envoy::ext         extensions by what they are for: ext::http::cors::CorsPolicy, ext::lb::maglev::Maglev
//! envoy::service     the gRPC services, client and server
//! envoy::type_url    the type URLs of discovery, and type_url::<M>() for any message
//! envoy::any         a message in its `Any`
//! envoy::json        canonical JSON of any message known here
//! ```
//!
//! Messages are plain structs: build them with `..Default::default()`. Maps are `BTreeMap`s, so that equal messages
//! encode to equal bytes. Google's wrappers are options (`Option<u32>` for `UInt32Value`), its other well-known types
//! those of `prost-types`. Which files are generated says `protos.txt`.

/// All generated types, in the packages of their `.proto` files.
#[allow(
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::restriction
)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pb.rs"));
}

mod canonical;
pub mod ext;
mod files;
pub mod json;
mod pack;
pub mod service;
pub mod type_url;

pub use files::file_descriptors;
pub use pack::{any, duration, extension, socket_address, unpack};
pub use pb::envoy::admin::v3 as admin;
pub use pb::envoy::config::accesslog::v3 as accesslog;
pub use pb::envoy::config::bootstrap::v3 as bootstrap;
pub use pb::envoy::config::cluster::v3 as cluster;
pub use pb::envoy::config::common::matcher::v3 as config_matcher;
pub use pb::envoy::config::common::mutation_rules::v3 as mutation_rules;
pub use pb::envoy::config::core::v3 as core;
pub use pb::envoy::config::endpoint::v3 as endpoint;
pub use pb::envoy::config::listener::v3 as listener;
pub use pb::envoy::config::metrics::v3 as metrics;
pub use pb::envoy::config::overload::v3 as overload;
pub use pb::envoy::config::ratelimit::v3 as ratelimit_config;
pub use pb::envoy::config::rbac::v3 as rbac;
pub use pb::envoy::config::route::v3 as route;
pub use pb::envoy::config::tap::v3 as tap;
pub use pb::envoy::config::trace::v3 as trace;
pub use pb::envoy::data::accesslog::v3 as accesslog_data;
pub use pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
pub use pb::envoy::extensions::transport_sockets::tls::v3 as tls;
pub use pb::envoy::service::discovery::v3 as discovery;
pub use pb::envoy::service::runtime::v3 as runtime;
pub use pb::envoy::r#type::http::v3 as http_types;
pub use pb::envoy::r#type::matcher::v3 as matcher;
pub use pb::envoy::r#type::metadata::v3 as metadata;
pub use pb::envoy::r#type::tracing::v3 as tracing_tags;
pub use pb::envoy::r#type::v3 as types;
pub use pb::google::rpc;
pub use pb::ratelimit::config::ratelimit::v3 as rls_conf;
pub use pb::xds::core::v3 as xds_core;
pub use pb::xds::r#type::matcher::v3 as xds_matcher;
pub use pb::xds::r#type::v3 as xds_types;
pub use prost::{Message, Name};
pub use prost_types::value::Kind as ValueKind;
pub use prost_types::{Any, Duration, ListValue, Struct, Timestamp, Value};
pub use type_url::of as type_url;
