//! Where Envoys run.

pub mod cluster;
pub mod drain;
pub mod host;
pub mod kube;

use std::sync::Arc;

use tokio::sync::watch;

use crate::pipeline::Output;

/// Plans which Envoys are to run, wherever that is.
#[derive(Debug)]
pub enum Planner {
    /// On this machine.
    Host(host::Plan, watch::Sender<Option<host::Wanted>>),
    /// In the cluster.
    Kube(Box<kube::Plan>, watch::Sender<Option<kube::Wanted>>),
}

impl Planner {
    /// Says which Envoys an output wants.
    pub fn make(&mut self, output: &Output) {
        match self {
            Self::Host(plan, wanted) => tell(wanted, plan.make(output), |one, other| one == other),
            Self::Kube(plan, wanted) => tell(wanted, plan.make(output), |one, other| {
                let mut pairs = one.iter().zip(other);
                one.len() == other.len() && pairs.all(|((a, one), (b, other))| a == b && Arc::ptr_eq(one, other))
            }),
        }
    }

    /// What is wrong with the settings of a fleet.
    pub fn errors(&self) -> Vec<(Arc<str>, String)> {
        let owned = |(fleet, error): (&Arc<str>, &String)| (Arc::clone(fleet), error.clone());
        match self {
            Self::Host(plan, _) => plan.errors().map(owned).collect(),
            Self::Kube(plan, _) => plan.errors().map(owned).collect(),
        }
    }
}

/// Wakes nobody where nothing else is wanted.
fn tell<T>(to: &watch::Sender<Option<T>>, wanted: T, same: impl Fn(&T, &T) -> bool) {
    to.send_if_modified(|now| {
        let changed = !now.as_ref().is_some_and(|now| same(now, &wanted));
        if changed {
            *now = Some(wanted);
        }
        changed
    });
}
