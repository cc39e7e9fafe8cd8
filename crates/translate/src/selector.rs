//! Label selectors, and which namespaces something is allowed from.

use std::collections::BTreeMap;

use api::{LabelSelector, Namespace, Resources, Stored};
use serde::Serialize;

/// Which namespaces something is allowed from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Namespaces {
    /// None at all.
    None,
    /// That of the resource that says so.
    #[default]
    Same,
    /// All.
    All,
    /// Those whose labels fit.
    Selected(LabelSelector),
}

impl Namespaces {
    /// Reads a selector of the generated types, which are all of one shape.
    pub(crate) fn selected(selector: Option<&impl Serialize>) -> Self {
        // Without a selector nothing is selected: the API server refuses such a resource, a file may hold one.
        selector.map_or(Self::None, |selector| Self::Selected(api::gateway::same_shape(selector)))
    }

    /// Whether something in `namespace` is allowed by a resource in `own`.
    pub(crate) fn allow(&self, resources: &Resources, own: &str, namespace: &str) -> bool {
        match self {
            Self::None => false,
            Self::Same => own == namespace,
            Self::All => true,
            Self::Selected(selector) => {
                let known = resources.namespaces.get("", namespace);
                matches(selector, &labels(known.map(AsRef::as_ref), namespace))
            }
        }
    }
}

/// A namespace's labels. Each namespace has the label with its own name, as the API server sees to.
fn labels(namespace: Option<&Namespace>, name: &str) -> BTreeMap<String, String> {
    let mut labels = namespace.and_then(|namespace| namespace.meta().labels.clone()).unwrap_or_default();
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    labels
}

/// Whether labels fit a selector. An empty selector selects all, an operator that does not exist nothing.
pub(crate) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = labels.get(&expression.key);
            let listed = value.is_some_and(|value| expression.values.iter().flatten().any(|item| item == value));
            match expression.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(selector: serde_json::Value) -> bool {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        matches(&serde_json::from_value(selector).unwrap(), &labels)
    }

    #[test]
    fn every_operator() {
        assert!(fits(json!({})));
        assert!(fits(json!({"matchLabels": {"a": "1"}})));
        assert!(!fits(json!({"matchLabels": {"a": "2"}})));
        let expression = |key: &str, operator: &str| {
            fits(json!({"matchExpressions": [{"key": key, "operator": operator, "values": ["1"]}]}))
        };
        assert!(expression("a", "In") && !expression("b", "In"));
        assert!(!expression("a", "NotIn") && expression("b", "NotIn"));
        assert!(expression("a", "Exists") && !expression("b", "Exists"));
        assert!(!expression("a", "DoesNotExist") && expression("b", "DoesNotExist"));
        assert!(!expression("a", "Near"));
    }
}
