//! How many resources are not in force as they are written, by their statuses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::ObjectRef;
use serde_json::json;

use crate::conditions;
use crate::status::{Statuses, differences};

/// Conditions that tell of others' wishes and not of a mistake.
const NO_MISTAKES: [&str; 2] = ["Overridden", "OverlappingTLSConfig"];

/// The resources of which that is true, kept up to date by what changes.
#[derive(Default)]
pub(crate) struct NotAccepted {
    known: Statuses,
    resources: BTreeSet<Arc<ObjectRef>>,
}

impl NotAccepted {
    /// How many there are now, by kind.
    pub(crate) fn hear(&mut self, statuses: &Statuses) -> BTreeMap<String, i64> {
        for reference in differences(&self.known, statuses) {
            if statuses.get(&*reference).is_some_and(|said| is_mistaken(&said.status())) {
                self.resources.insert(reference);
            } else {
                self.resources.remove(&reference);
            }
        }
        self.known = statuses.clone();
        let mut kinds = BTreeMap::new();
        for resource in &self.resources {
            *kinds.entry(resource.kind.clone()).or_default() += 1;
        }
        kinds
    }
}

/// Whether a condition says so. One that is unknown, such as before Envoy has answered, says nothing yet.
fn is_mistaken(status: &serde_json::Value) -> bool {
    let parts = conditions::parts(&json!({ "status": status }));
    let mut conditions = parts.iter().flat_map(|part| &part.conditions);
    conditions.any(|one| !one.is_good() && one.status != "Unknown" && !NO_MISTAKES.contains(&one.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_from_what_is_pending() {
        let status = |name: &str, status: &str| {
            let condition = json!({ "type": name, "status": status, "reason": "x", "message": "" });
            json!({ "parents": [{ "parentRef": { "name": "eg" }, "conditions": [condition] }] })
        };
        assert!(is_mistaken(&status("Accepted", "False")));
        assert!(is_mistaken(&status("PartiallyInvalid", "True")));
        assert!(!is_mistaken(&status("Accepted", "True")));
        assert!(!is_mistaken(&status("Programmed", "Unknown")));
        assert!(!is_mistaken(&status("Overridden", "True")));
        assert!(!is_mistaken(&json!({})));
    }
}
