//! The Kubernetes provider on real API servers: what is read from them, what Envoys get of it, and what is written back.
//!
//! ```text
//! Admin ─▶ API server (house.rs, shared by all tests) ─▶ Room: source, engine, status writer ─▶ output
//! ```
//!
//! What breaks a cluster for others is done to a cluster of its own (`faults.rs`), and what a real server cannot be made to
//! answer is answered by `double.rs`. These tests need root.

mod admin;
mod changes;
mod double;
mod faults;
mod fleets;
mod grants;
mod house;
mod malformed;
mod manifests;
mod proxy;
mod refusals;
mod replicas;
mod room;
mod secrets;
mod statuses;
