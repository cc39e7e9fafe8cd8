//! The service as a process: a real Envoy in front of it, an identity provider beside it, a real Redis behind it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod attacks_on_rules;
mod certified;
mod chromium;
mod cookies;
mod edge;
mod faults;
mod handover;
mod house;
mod http_check;
mod login;
mod logout;
mod paths;
mod profiles;
mod programs;
mod published;
mod redirects;
mod refresh;
mod rules;
mod stores;
mod tokens;
mod traces;
