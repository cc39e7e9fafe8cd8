//! Gateway API through the real thing: manifests in files, the real server, a real Envoy, and requests.
//!
//! A test is named as the Gateway API's conformance suite names the same thing, where it does.

mod doubles;
mod harness;
mod objects;
mod scene;

mod backends;
mod faults;
mod l4;
mod tls;

mod attachment;
mod grpc;
mod http;
mod limits;
mod listener_sets;
mod logins;
mod logs;
mod policies;
