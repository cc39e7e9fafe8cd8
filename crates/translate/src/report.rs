//! Status as a value: what translation has to say of each resource.
//!
//! Times are not known here: whoever writes a status keeps `lastTransitionTime` of a condition that did not change.
//! `Programmed` is said as it is once Envoy has accepted everything; [`Report::fleet`] tells whose word that waits for.

use std::sync::Arc;

use api::{ObjectRef, gateway::ParentRef};
use immutable_chunkmap::map::MapS;
use serde::Serialize;

/// The reports of one translation, by resource. Unchanged ones are the same `Arc` as the time before. A copy costs nothing,
/// and a change of a copy the work of one chunk: there are as many as routes, and each change makes a new one.
pub type Reports = MapS<Arc<ObjectRef>, Arc<Report>>;

/// Whose reports are others than those of the translation before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Perhaps everybody's.
    All,
    /// Those of these resources; some of them may be gone.
    Some(Vec<Arc<ObjectRef>>),
}

impl Default for Changed {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl Changed {
    /// Adds what changed later.
    pub fn add(&mut self, later: &Self) {
        match (&mut *self, later) {
            (Self::Some(known), Self::Some(more)) => known.extend(more.iter().cloned()),
            _ => *self = Self::All,
        }
    }
}

/// The status of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The generation of the resource that this is said of.
    pub generation: i64,
    /// What is said.
    pub status: Status,
    /// The fleet ([`ir::Gateway::name`]) that has to accept before `Programmed` is true.
    pub fleet: Option<Arc<str>>,
}

/// The status of a resource, in the shape that its kind has.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// `GatewayClass`, `Backend` and the like: conditions, and for a class its features.
    Plain {
        /// The conditions.
        conditions: Vec<Condition>,
        /// The names of supported features, for a `GatewayClass`.
        supported_features: Vec<&'static str>,
    },
    /// `Gateway` and `ListenerSet`.
    Listeners {
        /// Of the whole.
        conditions: Vec<Condition>,
        /// Of each listener.
        listeners: Vec<ListenerStatus>,
        /// How many listener sets are attached; `None` for a listener set itself.
        attached_listener_sets: Option<i32>,
        /// The addresses asked for that can be had.
        addresses: Vec<Address>,
    },
    /// Routes: for each parent.
    Parents(Vec<ParentStatus>),
    /// Policies: for each ancestor.
    Ancestors(Vec<AncestorStatus>),
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Accepted`, `Programmed`, …
    pub r#type: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word of the specification.
    pub reason: &'static str,
    /// What it means and how to mend it.
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl Condition {
    /// All types that are ever said. On resources that others put conditions on, too, those of any other type are theirs.
    pub const TYPES: [&'static str; 9] = [
        "Accepted",
        "Conflicted",
        "InsecureFrontendValidationMode",
        "OverlappingTLSConfig",
        "Overridden",
        "PartiallyInvalid",
        "Programmed",
        "ResolvedRefs",
        "SupportedVersion",
    ];

    /// A condition that holds.
    pub fn yes(r#type: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(r#type, ConditionStatus::True, reason, message.into())
    }

    /// A condition that does not hold.
    pub fn no(r#type: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(r#type, ConditionStatus::False, reason, message.into())
    }

    fn new(r#type: &'static str, status: ConditionStatus, reason: &'static str, message: String) -> Self {
        debug_assert!(Self::TYPES.contains(&r#type), "{type} is not in the list: it would never go from a status");
        Self { r#type, status, reason, message }
    }

    /// Tells something beside, where it holds.
    #[must_use]
    pub(crate) fn noting(mut self, note: Option<&str>) -> Self {
        if let (true, Some(note)) = (self.holds(), note) {
            self.message = note.to_owned();
        }
        self
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

/// The status of one listener.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// How many routes are attached.
    pub attached_routes: i32,
    /// `group/kind` pairs it takes.
    pub supported_kinds: Vec<api::RouteKind>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// An address of a Gateway.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Address {
    /// `IPAddress` or `Hostname`.
    pub r#type: String,
    /// The address.
    pub value: String,
}

/// The status of a route towards one parent.
#[derive(Clone, Debug, PartialEq)]
pub struct ParentStatus {
    /// The parent, as the route names it.
    pub parent: ParentRef,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// The status of a policy towards one ancestor.
#[derive(Clone, Debug, PartialEq)]
pub struct AncestorStatus {
    /// The ancestor: a Gateway, listener, or route's parent.
    pub ancestor: ParentRef,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

impl Report {
    /// The `status` field as the resource's kind has it. The conditions lack `lastTransitionTime`, which whoever
    /// writes the status adds.
    pub fn to_json(&self, controller: &str) -> serde_json::Value {
        use serde_json::{Value, json};
        let conditions = |list: &[Condition]| -> Vec<Value> {
            let with_generation = |condition: &Condition| {
                let mut value = json!(condition);
                value["observedGeneration"] = json!(self.generation);
                value
            };
            list.iter().map(with_generation).collect()
        };
        match &self.status {
            Status::Plain { conditions: list, supported_features } => {
                let mut status = json!({"conditions": conditions(list)});
                if !supported_features.is_empty() {
                    let features = supported_features.iter().map(|name| json!({"name": name}));
                    status["supportedFeatures"] = features.collect();
                }
                status
            }
            Status::Listeners { conditions: list, listeners, attached_listener_sets, addresses } => {
                let listener = |listener: &ListenerStatus| {
                    json!({
                        "name": listener.name,
                        "attachedRoutes": listener.attached_routes,
                        "supportedKinds": listener.supported_kinds.iter()
                            .map(|kind| json!({"group": api::gateway::GROUP, "kind": kind.as_str()})).collect::<Vec<_>>(),
                        "conditions": conditions(&listener.conditions),
                    })
                };
                let listeners: Vec<Value> = listeners.iter().map(listener).collect();
                let mut status = json!({"conditions": conditions(list), "listeners": listeners});
                if let Some(count) = attached_listener_sets {
                    status["attachedListenerSets"] = json!(count);
                }
                if !addresses.is_empty() {
                    status["addresses"] = json!(addresses);
                }
                status
            }
            Status::Parents(parents) => json!({"parents": parents.iter().map(|parent| json!({
                "parentRef": parent.parent,
                "controllerName": controller,
                "conditions": conditions(&parent.conditions),
            })).collect::<Vec<_>>()}),
            Status::Ancestors(ancestors) => json!({"ancestors": ancestors.iter().map(|ancestor| json!({
                "ancestorRef": ancestor.ancestor,
                "controllerName": controller,
                "conditions": conditions(&ancestor.conditions),
            })).collect::<Vec<_>>()}),
        }
    }
}
