//! The service as a process, with real Envoys in front of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod bodies;
mod bypasses;
mod engine;
mod envoy;
mod failures;
mod grpc;
mod house;
mod profiles;
mod pseudo_headers;
mod requests;
mod rotation;
mod streams;
mod tools;
mod traces;
