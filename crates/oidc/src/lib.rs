//! Single sign-on for Envoy: for each request Envoy asks, by `envoy.service.auth.v3`, whether it may pass.
//!
//! ```text
//! grpc, http ─▶ service ─┬─▶ profile: what the route wants
//!                        ├─▶ provider: who people are (OpenID Connect)
//!                        ├─▶ session: who is logged in (memory, Redis, cookies)
//!                        ├─▶ rules: who may
//!                        └─▶ upstream: what the server behind is told
//! ```
//!
//! Only `grpc` names tonic, only `http` axum, only `provider` openidconnect, and only `session::redis` redis. What a client sends
//! is read in [`ask`], [`path`], [`cookie`], [`return_url`] and [`jwt`], in plain functions.

pub mod ask;
mod audit;
mod claims;
pub mod cli;
pub mod clock;
mod configured;
pub mod cookie;
mod exchange;
mod fading;
#[doc(hidden)]
pub mod fuzz;
mod grpc;
mod handover;
mod http;
pub mod inside;
pub mod jwt;
mod login;
mod logout;
pub mod metrics;
mod pages;
pub mod path;
pub mod profile;
pub mod provider;
mod random;
mod refresh;
pub mod return_url;
mod rounds;
pub mod rules;
pub mod runtime;
pub mod seal;
mod serve;
pub mod service;
pub mod session;
pub mod settings;
mod upstream;
pub mod verdict;
mod visit;
