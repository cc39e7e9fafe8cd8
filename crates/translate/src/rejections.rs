//! What Envoy refused: it is left out, and its status has Envoy's words. And what the single sign-on service refused, and what
//! nobody can read.

use std::collections::BTreeMap;

use api::{ObjectRef, Rejection, Resources, Stored};

use crate::problem::Problem;

/// Envoy's words about this generation of a resource, if it refused it; or what is wrong with one that only stands in for one
/// that cannot be read.
pub(crate) fn rejection<T: Stored>(resources: &Resources, resource: &T) -> Option<Problem> {
    if resources.facts.rejected.is_empty() && resources.unreadable.is_empty() {
        return None;
    }
    let unreadable = resources.unreadable.get(&resource.reference());
    let unreadable = unreadable.map(|why| Problem::new("Invalid", format!("it cannot be read: {why}")));
    unreadable.or_else(|| words(&resources.facts.rejected, resource, "Envoy refused it"))
}

/// The words of the single sign-on service about this generation of a policy, if it refused it.
pub(crate) fn refused_login<T: Stored>(resources: &Resources, policy: &T) -> Option<Problem> {
    words(&resources.facts.refused_logins, policy, "the single sign-on service refused it")
}

fn words<T: Stored>(all: &BTreeMap<ObjectRef, Rejection>, resource: &T, who: &str) -> Option<Problem> {
    let rejection = all.get(&resource.reference())?;
    (rejection.generation == resource.generation())
        .then(|| Problem::new("UnsupportedValue", format!("{who}: {}", rejection.message)))
}
