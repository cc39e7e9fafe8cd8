//! Make before break: in which order types are sent.
//!
//! ```text
//! additions, changes   runtime ▶ clusters ▶ endpoints ▶ secrets ▶ extensions ▶ listeners ▶ scopes ▶ routes ▶ hosts
//! removals, after all  listeners ▶ scopes ▶ routes ▶ hosts ▶ extensions ▶ clusters ▶ endpoints ▶ secrets ▶ runtime
//! ```
//!
//! So a route never points to a cluster that is not there, and a listener that demands authentication is in place before
//! the route that needs it (the order that the xDS protocol's chapter on eventual consistency recommends).

use envoy::type_url;

/// What a type is to the protocol, in the order of additions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Runtime,
    Cluster,
    Endpoint,
    Secret,
    Extension,
    Listener,
    ScopedRoute,
    Route,
    VirtualHost,
    RateLimit,
    Other,
}

impl Kind {
    pub(crate) fn of(url: &str) -> Self {
        match url {
            type_url::RUNTIME => Self::Runtime,
            type_url::CLUSTER => Self::Cluster,
            type_url::ENDPOINT => Self::Endpoint,
            type_url::SECRET => Self::Secret,
            type_url::EXTENSION_CONFIG => Self::Extension,
            type_url::LISTENER => Self::Listener,
            type_url::SCOPED_ROUTE => Self::ScopedRoute,
            type_url::ROUTE => Self::Route,
            type_url::VIRTUAL_HOST => Self::VirtualHost,
            type_url::RATE_LIMIT_CONFIG => Self::RateLimit,
            _ => Self::Other,
        }
    }

    /// The place in the order of removals.
    pub(crate) fn removal_rank(self) -> u8 {
        match self {
            Self::Listener => 0,
            Self::ScopedRoute => 1,
            Self::Route => 2,
            Self::VirtualHost => 3,
            Self::Extension => 4,
            Self::Cluster => 5,
            Self::Endpoint => 6,
            Self::Secret => 7,
            Self::Runtime => 8,
            Self::RateLimit => 9,
            Self::Other => 10,
        }
    }

    /// Whether Envoy builds all of a resource anew where a little of it has changed, however much it holds.
    pub(crate) fn is_built_as_a_whole(self) -> bool {
        self == Self::Route
    }

    /// Whether Envoy listens when a resource is taken away. A route table goes when the last listener that asks for it
    /// has gone; to hear of it before is an error to Envoy, which logs and ignores it.
    pub(crate) fn can_be_taken_away(self) -> bool {
        self != Self::Route
    }

    /// Whether a state-of-the-world response holds all resources, so that a missing one is a removed one. Of the other
    /// types a response may hold some, and a removal cannot be said.
    pub(crate) fn is_whole_in_sotw(self) -> bool {
        matches!(self, Self::Cluster | Self::Extension | Self::Listener | Self::ScopedRoute | Self::RateLimit)
    }

    /// Whether Envoy asks for every resource of this type that a sound snapshot has. Only then a revision is settled
    /// when all of them are with the client.
    pub(crate) fn is_asked_for_in_full(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener | Self::ScopedRoute | Self::Route)
    }
}
