//! The gRPC services: the messages of each with `…_client` and `…_server` modules beside them.

pub use crate::pb::envoy::service::accesslog::v3 as accesslog;
pub use crate::pb::envoy::service::auth::v3 as auth;
pub use crate::pb::envoy::service::discovery::v3 as discovery;
pub use crate::pb::envoy::service::ext_proc::v3 as ext_proc;
pub use crate::pb::envoy::service::ratelimit::v3 as ratelimit;
pub use crate::pb::ratelimit::service::ratelimit::v3 as rls_conf_discovery;
