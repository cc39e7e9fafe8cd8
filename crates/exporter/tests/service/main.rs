//! The service as a process: clients and real Envoys that send to it, a real browser that looks at its page.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod collector;
mod envoy;
mod house;
mod loss;
mod otlp;
mod page;
mod scrapes;
mod streams;
