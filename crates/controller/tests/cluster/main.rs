//! What an operator fears, done to a real installation under load: upgrades, restarts, a leader that is killed, a control plane
//! that is gone, memory that runs out, objects that are wrong, and neighbours who want what is not theirs.
//!
//! ```text
//! Load (200 requests a second) ─▶ load balancer ─▶ Envoys (pods) ─▶ application (pods)
//!                                                    ▲ xDS
//! the test ─▶ API server, etcd, containers ─▶ controllers (pods)
//! ```
//!
//! Each test has a cluster of its own. They need root and take minutes: `cargo xtask cluster-tests` runs them.

mod cert_manager;
mod control_plane;
mod grants;
mod hosts;
mod installed;
mod leader;
mod limits;
mod memory;
mod poison;
mod rollouts;
mod secrets;
mod strangers;
mod world;
