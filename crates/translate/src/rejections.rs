//! What Envoy refused: it is left out of the fleet whose Envoys refused it, and its status has Envoy's words. And what the
//! single sign-on service refused, and what nobody can read.

use std::collections::BTreeMap;

use api::{ObjectRef, Rejection, Resources, Stored};

use crate::problem::Problem;

/// The words of a fleet's Envoys about this generation of a resource, if they refused it; or what is wrong with one that only
/// stands in for one that cannot be read.
pub(crate) fn rejection<T: Stored>(resources: &Resources, fleet: &str, resource: &T) -> Option<Problem> {
    if resources.facts.rejected.is_empty() && resources.unreadable.is_empty() {
        return None;
    }
    unreadable(resources, resource).or_else(|| of_envoy(resources.facts.rejected.get(fleet)?, resource))
}

/// The same of any fleet.
pub(crate) fn rejection_anywhere<T: Stored>(resources: &Resources, resource: &T) -> Option<Problem> {
    let of_envoy = || resources.facts.rejected.values().find_map(|rejected| of_envoy(rejected, resource));
    unreadable(resources, resource).or_else(of_envoy)
}

/// The words of the single sign-on service about this generation of a policy, if it refused it.
pub(crate) fn refused_login<T: Stored>(resources: &Resources, policy: &T) -> Option<Problem> {
    words(&resources.facts.refused_logins, policy, "the single sign-on service refused it")
}

fn unreadable<T: Stored>(resources: &Resources, resource: &T) -> Option<Problem> {
    let why = resources.unreadable.get(&resource.reference())?;
    Some(Problem::new("Invalid", format!("it cannot be read: {why}")))
}

fn of_envoy<T: Stored>(rejected: &BTreeMap<ObjectRef, Rejection>, resource: &T) -> Option<Problem> {
    words(rejected, resource, "Envoy refused it")
}

fn words<T: Stored>(all: &BTreeMap<ObjectRef, Rejection>, resource: &T, who: &str) -> Option<Problem> {
    let rejection = all.get(&resource.reference())?;
    (rejection.generation == resource.generation())
        .then(|| Problem::new("UnsupportedValue", format!("{who}: {}", rejection.message)))
}
