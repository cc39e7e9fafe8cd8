//! What Envoy refused: it is left out, and its status has Envoy's words.

use api::{Resources, Stored};

use crate::problem::Problem;

/// Envoy's words about this generation of a resource, if it refused it.
pub(crate) fn rejection<T: Stored>(resources: &Resources, resource: &T) -> Option<Problem> {
    if resources.facts.rejected.is_empty() {
        return None;
    }
    let rejection = resources.facts.rejected.get(&resource.reference())?;
    (rejection.generation == resource.generation())
        .then(|| Problem::new("UnsupportedValue", format!("Envoy refused it: {}", rejection.message)))
}
