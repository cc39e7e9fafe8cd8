//! The HTTP filter chain: [`HTTP_FILTERS`] *is* its order.
//!
//! A request passes the filters from first to last, its answer from last to first. A filter that only some routes use is in
//! the chain `disabled`, and those routes enable it: so that a further route changes the chain (and thereby drains its
//! connections) only when it needs an instance that is not there yet.
//!
//! Envoy Gateway's order differs in one place: there, external processing comes after authorization. Here it is the other way
//! round, see the reasons in the list.

use envoy::hcm::{self, http_filter::ConfigType};
use ir::api::ObjectRef;

use crate::{
    filters::{
        Needs, cors, credential, dynamic_forward_proxy, ext_authz, ext_proc, grpc, login, rate_limit, router, session,
    },
    scope::Scope,
};

/// A place in the chain.
struct Place {
    /// The instances that stand at this place, in their order.
    instances: fn(&Chain<'_>) -> Vec<Instance>,
}

/// The filter chain, from first to last.
const HTTP_FILTERS: &[Place] = &[
    // First: a preflight request carries no credentials, so that nothing that asks for them may stand before it.
    Place { instances: cors::instances },
    // Before everything that decides: what a processor changes (path, headers) is what authorization judges and the limits
    // count; after authorization it could turn a request that was let through into another. A firewall also has to see the
    // requests for which authorization itself answers, such as a login.
    Place { instances: ext_proc::instances },
    // Before all that judges by who somebody is: the policy's own authorization, and tokens, for which a login brings them.
    // And nothing of that may stand in the way of a person who comes back from the provider.
    Place { instances: login::instances },
    // Before the limits: they may count by what authorization found out, such as the user.
    Place { instances: ext_authz::instances },
    // Before all work for the back end.
    Place { instances: rate_limit::instances },
    // Translates gRPC-Web into gRPC, so that what follows sees gRPC.
    Place { instances: grpc::web_instances },
    // Counts calls that were let through.
    Place { instances: grpc::stats_instances },
    // The back end's credential: no service of the filters above may see it.
    Place { instances: credential::instances },
    // Which end point: of no interest for requests that were answered above.
    Place { instances: session::instances },
    // Resolves the host, in the form in which the filters above have left it.
    Place { instances: dynamic_forward_proxy::instances },
    // Sends the request; changes the headers and path that the route says.
    Place { instances: router::instances },
];

/// What the instances of a chain depend on.
pub(crate) struct Chain<'a> {
    /// What the routes of the chain need.
    pub(crate) needs: &'a Needs,
    /// What is the same for all chains.
    pub(crate) scope: &'a Scope<'a>,
}

/// A filter in the chain.
pub(crate) struct Instance {
    name: String,
    disabled: bool,
    config: envoy::Any,
    source: Option<ObjectRef>,
}

impl Instance {
    /// A filter that is on for all routes.
    pub(crate) fn on<M: envoy::Message + envoy::Name>(name: impl Into<String>, config: &M) -> Self {
        Self { name: name.into(), disabled: false, config: envoy::any(config), source: None }
    }

    /// A filter that is off but for the routes that enable it.
    pub(crate) fn off<M: envoy::Message + envoy::Name>(name: impl Into<String>, config: &M) -> Self {
        Self { disabled: true, ..Self::on(name, config) }
    }

    /// Says which resource asked for it.
    pub(crate) fn from(self, source: &ObjectRef) -> Self {
        Self { source: Some(source.clone()), ..self }
    }
}

/// The chain, and the resources that asked for filters in it.
pub(crate) fn chain(chain: &Chain<'_>) -> (Vec<hcm::HttpFilter>, Vec<ObjectRef>) {
    let instances = HTTP_FILTERS.iter().flat_map(|place| (place.instances)(chain));
    let mut sources = Vec::new();
    let filters = instances.map(|Instance { name, disabled, config, source }| {
        sources.extend(source);
        hcm::HttpFilter { name, disabled, config_type: Some(ConfigType::TypedConfig(config)), ..Default::default() }
    });
    (filters.collect(), sources)
}
