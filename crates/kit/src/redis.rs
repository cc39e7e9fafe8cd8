//! A Redis and the way to it, for services that keep something there: settings, connections, and a task that keeps them up.
//! What is kept is the service's own.

mod connect;
mod link;
mod settings;

pub use connect::{Connection, connect};
pub use link::{Failure, Link, Terms};
pub use settings::{Sentinel, Server, Tls};
