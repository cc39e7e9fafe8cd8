//! The conditions of a resource's status, flattened for tables.

use std::fmt;

use serde_json::Value;

/// Conditions that say that something is wrong when they hold; all others say so when they do not.
const BAD_WHEN_TRUE: [&str; 4] = ["Conflicted", "PartiallyInvalid", "OverlappingTLSConfig", "Overridden"];

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `Accepted`, …
    pub name: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Condition {
    /// Whether it says that all is well.
    pub fn is_good(&self) -> bool {
        let wanted = if BAD_WHEN_TRUE.contains(&self.name.as_str()) { "False" } else { "True" };
        self.status == wanted
    }
}

/// `Accepted`, or `Programmed=False(Pending)`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_good() {
            true if self.status == "True" => f.write_str(&self.name),
            true => write!(f, "{}={}", self.name, self.status),
            false => write!(f, "{}={}({})", self.name, self.status, self.reason),
        }
    }
}

/// The conditions of a resource, or of one part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Empty for the resource itself, else `listener http`, `parent eg`, `ancestor eg`.
    pub of: String,
    /// How many routes are attached, for a listener.
    pub routes: Option<u64>,
    /// The conditions, in the order of the status.
    pub conditions: Vec<Condition>,
}

/// All parts of a resource that have conditions.
pub fn parts(item: &Value) -> Vec<Part> {
    let status = &item["status"];
    let mut parts = Vec::new();
    if status["conditions"].is_array() {
        parts.push(Part { of: String::new(), routes: None, conditions: conditions(status) });
    }
    for listener in list(&status["listeners"]) {
        let of = format!("listener {}", text(&listener["name"]));
        parts.push(Part { of, routes: listener["attachedRoutes"].as_u64(), conditions: conditions(listener) });
    }
    for (field, word, key) in [("parents", "parent", "parentRef"), ("ancestors", "ancestor", "ancestorRef")] {
        for part in list(&status[field]) {
            let reference = &part[key];
            let section = text(&reference["sectionName"]);
            let slash = if section.is_empty() { "" } else { "/" };
            let of = format!("{word} {}{slash}{section}", text(&reference["name"]));
            parts.push(Part { of, routes: None, conditions: conditions(part) });
        }
    }
    parts
}

/// `namespace/name`, or the name of a resource of the cluster.
pub fn name(item: &Value) -> String {
    let metadata = &item["metadata"];
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", text(&metadata["name"])),
        None => text(&metadata["name"]),
    }
}

fn conditions(value: &Value) -> Vec<Condition> {
    let condition = |condition: &Value| Condition {
        name: text(&condition["type"]),
        status: text(&condition["status"]),
        reason: text(&condition["reason"]),
        message: text(&condition["message"]),
    };
    list(&value["conditions"]).iter().map(condition).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_the_resource_its_listeners_and_its_parents() {
        let condition =
            |name: &str, status: &str| json!({"type": name, "status": status, "reason": "Why", "message": ""});
        let item = json!({"kind": "Gateway", "metadata": {"name": "eg", "namespace": "default"}, "status": {
            "conditions": [condition("Accepted", "True"), condition("Programmed", "False")],
            "listeners": [{"name": "http", "attachedRoutes": 2, "conditions": [condition("Conflicted", "False")]}],
            "parents": [{"parentRef": {"name": "eg", "sectionName": "http"}, "conditions": [condition("Conflicted", "True")]}],
        }});
        let shown: Vec<_> = parts(&item)
            .iter()
            .map(|part| {
                format!(
                    "{}: {}",
                    part.of,
                    part.conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ": Accepted Programmed=False(Why)",
                "listener http: Conflicted=False",
                "parent eg/http: Conflicted=True(Why)",
            ]
        );
        assert_eq!(name(&item), "default/eg");
    }
}
