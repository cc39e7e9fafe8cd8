//! The service as a process: real Envoys in front of it, a real Redis behind it, the reference beside it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod envoy;
mod faults;
mod house;
mod pages;
mod plane;
mod port;
mod reference;
mod topologies;
