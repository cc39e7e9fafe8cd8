//! Clients for tests: HTTP/1.1, h2c, HTTPS, gRPC, WebSocket, a browser as far as logging in needs one, HTTP/2 and HTTP/3 field by
//! field, and plain TCP, TLS and UDP.
//!
//! What a request says (URL, `Host`, SNI) and where it goes (an address, a Unix socket) are separate, since a gateway under test
//! listens on a port of its own and serves names that no DNS knows.
//!
//! ```no_run
//! # async fn example(gateway: std::net::SocketAddr) -> anyhow::Result<()> {
//! use testbed::client::Request;
//! let answer = Request::get("http://www.example.com/cats?n=1").to(gateway).header("x-color", "blue").send().await?;
//! assert_eq!(answer.status, 200);
//! assert_eq!(answer.echoed()?.path, "/cats?n=1");
//! # Ok(()) }
//! ```

mod browser;
mod connect;
mod fields;
mod grpc;
mod http;
mod raw;
mod websocket;

pub use browser::{Browser, target};
pub(crate) use connect::Stream;
pub use connect::{Connection, Target};
pub use fields::{Fields, http2_fields, http3_fields};
pub use grpc::{GrpcRequest, GrpcResponse};
pub(crate) use grpc::{PREFIX, frame};
pub use http::{Protocol, Request, Response};
pub use raw::{tcp_line, tls_connect, tls_line, udp_datagram};
pub use websocket::{WebSocket, websocket};
