//! Global rate limits: what Envoy tells the rate limit service of a request (a descriptor), and what the service is told of
//! descriptors. Both are made from the same list of [`Entry`]s, so that they cannot disagree.
//!
//! ```text
//! rule ─▶ entries ─┬─▶ Envoy: actions, each of which adds an entry to the descriptor, or drops the whole descriptor
//!                  └─▶ service: a path in the tree of descriptors, with the limit at its end
//! ```

mod actions;
mod config;
mod entry;

pub(crate) use self::actions::of_route;
pub use self::config::rate_limit_config;
use self::entry::Entry;
