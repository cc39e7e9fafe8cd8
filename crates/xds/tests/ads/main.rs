//! The server at work: on streams of our own, and with a real Envoy.

mod plane;
mod real_envoy;
mod stream;
