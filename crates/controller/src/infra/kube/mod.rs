//! Fleets of Envoys in Kubernetes.
//!
//! ```text
//! Output ─▶ Plan (render, pure) ─▶ Wanted ─▶ Runner ─▶ API server: applies what differs, deletes what nobody wants
//!                                              ▲  └──▶ States: addresses, Envoys that are there, what went wrong
//!                     watches of our own objects
//! ```
//!
//! Traffic does not depend on the controller: Envoys go on without it. Only the leader writes; every replica knows the
//! states.

mod apply;
pub mod identities;
mod kind;
mod live;
mod plan;
pub mod render;
mod runner;
mod state;

use std::{collections::BTreeMap, sync::Arc};

use self::render::Object;
pub use self::{
    kind::Kind,
    live::Scope,
    plan::{Identify, Plan},
    runner::Runner,
    state::FleetState,
};

/// The fleets that are wanted.
pub type Wanted = BTreeMap<Arc<str>, Arc<WantedFleet>>;
/// The fleets that are there.
pub type States = Arc<BTreeMap<Arc<str>, FleetState>>;

/// A fleet that is wanted.
#[derive(Debug, PartialEq)]
pub struct WantedFleet {
    /// The labels that all of its objects have, and no other fleet's.
    pub owner: BTreeMap<String, String>,
    /// Its objects. `None` when nobody can say what they should be: those that are there stay as they are.
    pub objects: Option<Vec<Object>>,
}
