//! What routes attach to: classes, gateways, listeners and policies, with all their references followed.
//!
//! The plan depends on everything but the routes and the end points. So it stays as it is while routes come and go,
//! and what was made of a route stays valid as long as its plan does.

mod classes;
mod conflicts;
mod frontend;
mod gateways;
mod listener_sets;
mod listeners;
mod overlaps;
mod parameters;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use api::{
    ObjectRef, Resources, RouteKind, Stored,
    ext::{EnvoyProxy, envoy_proxy::EnvoyProxySpec},
    gateway::{Gateway, ParentRef},
};
use ir::{DownstreamTls, IpFamily, Secret, SecretName};

use crate::{
    Options, Reports, backend_tls::BackendTlsIndex, policies::Policies, problem::Problem, report::Condition,
    selector::Namespaces, telemetry::Sinks,
};

/// What routes attach to.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The fleets of Envoys, ordered by name.
    pub(crate) fleets: Vec<Fleet>,
    /// The names of fleets that stay as they are, if they are there.
    pub(crate) staying: BTreeSet<Arc<str>>,
    /// The gateways of our classes, ordered by age.
    pub(crate) gateways: Vec<GatewayPlan>,
    /// All listeners of those gateways, ordered by precedence within each gateway.
    pub(crate) listeners: Vec<ListenerPlan>,
    /// The gateways that take routes which ask for default ones (GEP-3793).
    pub(crate) default_gateways: Vec<ParentRef>,
    /// What a parent reference can name, and its listeners.
    pub(crate) parents: HashMap<ObjectRef, Parent>,
    /// Which policy holds for TLS to which back end.
    pub(crate) backend_tls: BackendTlsIndex,
    /// Which policy holds where.
    pub(crate) policies: Policies,
    /// The reports of resources that no route has a part in.
    pub(crate) reports: Reports,
}

/// One fleet of Envoys.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// `namespace/name` of its only gateway, or the name of the class whose gateways are merged.
    pub(crate) name: Arc<str>,
    /// Its gateways.
    pub(crate) gateways: Vec<usize>,
    /// How its Envoys are run.
    pub(crate) proxy: Proxy,
    /// The addresses its sockets are bound to.
    pub(crate) family: IpFamily,
    /// Certificates and authorities that its listeners use.
    pub(crate) secrets: BTreeMap<SecretName, Arc<Secret>>,
    /// Where its access logs, metrics and traces go.
    pub(crate) telemetry: Sinks,
    /// Nobody can say how its Envoys are to be run: all of it stays as it is.
    pub(crate) stays: bool,
}

/// How Envoys are run, and who says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxy {
    /// The settings.
    pub(crate) spec: Arc<EnvoyProxySpec>,
    /// Who says so; nothing for the controller's own settings.
    pub(crate) source: Option<Arc<EnvoyProxy>>,
}

impl Proxy {
    /// The namespace in which references lead; empty for the controller's own settings.
    pub(crate) fn namespace(&self) -> &str {
        self.source.as_ref().map(|source| source.namespace()).unwrap_or_default()
    }

    /// Whether both come from the same resource, or both from the controller's own settings.
    pub(crate) fn same_source(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Plan {
    /// The name of a gateway's fleet.
    pub(crate) fn fleet_of(&self, gateway: usize) -> &str {
        &self.fleets[self.gateways[gateway].fleet].name
    }
}

impl Fleet {
    /// What its Envoys are started with.
    pub(crate) fn without_listeners(&self) -> ir::Gateway {
        let mut gateway = ir::Gateway {
            name: Arc::clone(&self.name),
            gateways: Vec::new(),
            listeners: Vec::new(),
            clusters: Arc::default(),
            secrets: Arc::default(),
            proxy: Arc::clone(&self.proxy.spec),
            telemetry: ir::Telemetry::default(),
            rate_limit_service: None,
        };
        gateway.telemetry =
            self.telemetry.put_into(Arc::make_mut(&mut gateway.clusters), Arc::make_mut(&mut gateway.secrets));
        gateway
    }
}

/// A gateway of one of our classes.
#[derive(Debug)]
pub(crate) struct GatewayPlan {
    /// The resource.
    pub(crate) resource: Arc<Gateway>,
    /// Its fleet.
    pub(crate) fleet: usize,
    /// The certificate shown to back ends.
    pub(crate) client_certificate: Option<SecretName>,
    /// Whether its listeners are served.
    pub(crate) accepted: bool,
    /// Conditions that do not depend on routes.
    pub(crate) conditions: Vec<Condition>,
    /// How many listener sets are attached with at least one listener that is served.
    pub(crate) listener_sets: i32,
    /// The addresses of its status.
    pub(crate) addresses: Vec<crate::report::Address>,
}

/// What a parent reference can name.
#[derive(Debug)]
pub(crate) struct Parent {
    /// The gateway that serves it.
    pub(crate) gateway: usize,
    /// Its own listeners.
    pub(crate) listeners: Vec<usize>,
    /// For a listener set: whether it may attach, and its conditions.
    pub(crate) listener_set: Option<Vec<Condition>>,
    /// The generation of the resource.
    pub(crate) generation: i64,
}

/// One listener of a gateway or of a listener set.
#[derive(Clone, Debug)]
pub(crate) struct ListenerPlan {
    /// The Gateway or ListenerSet that has it.
    pub(crate) owner: ObjectRef,
    /// The gateway that serves it.
    pub(crate) gateway: usize,
    /// The gateway's fleet.
    pub(crate) fleet: usize,
    /// Its name, unique in its owner.
    pub(crate) name: String,
    /// The port, or nothing when it is out of range.
    pub(crate) port: Option<u16>,
    /// What it speaks; nothing when we don't speak it.
    pub(crate) protocol: Option<Protocol>,
    /// In lower case; `None` for all hosts.
    pub(crate) hostname: Option<String>,
    /// The kinds of routes it takes.
    pub(crate) kinds: Vec<RouteKind>,
    /// The namespaces it takes routes from.
    pub(crate) namespaces: Namespaces,
    /// How TLS is terminated.
    pub(crate) tls: Option<DownstreamTls>,
    /// Why it is not accepted.
    pub(crate) refused: Vec<Problem>,
    /// Which references do not resolve.
    pub(crate) unresolved: Vec<Problem>,
    /// What it is in conflict with.
    pub(crate) conflict: Option<Problem>,
    /// What its TLS overlaps with.
    pub(crate) overlap: Option<Problem>,
    /// Whether it can be served in spite of references that do not resolve.
    pub(crate) servable: bool,
    /// What it asks for that has no effect here.
    pub(crate) without_effect: Option<String>,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP in clear.
    Http,
    /// HTTP in TLS.
    Https,
    /// Bytes in TLS that we terminate.
    TlsTerminate,
    /// Bytes in TLS that the back end terminates.
    TlsPassthrough,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// Whether connections are told apart by their server name.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::TlsTerminate | Self::TlsPassthrough)
    }

    /// Whether it carries HTTP.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

impl ListenerPlan {
    /// Whether Envoy serves it.
    pub(crate) fn served(&self) -> bool {
        self.servable && self.refused.is_empty() && self.conflict.is_none() && self.port.is_some()
    }

    /// `namespace/owner/name`, as Envoy's filter chains are named.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}/{}", self.owner.namespace, self.owner.name, self.name)
    }
}

impl Plan {
    /// Whether there is any policy to report on.
    pub(crate) fn has_policies(&self) -> bool {
        !self.backend_tls.policies.is_empty() || !self.policies.is_empty()
    }
}

/// Makes the plan.
pub(crate) fn plan(resources: &Resources, options: &Options) -> Plan {
    let classes = classes::classes(resources, options);
    let (mut fleets, mut gateways) = gateways::gateways(resources, options, &classes);
    let mut parents = HashMap::new();
    let mut listeners = listeners::of_gateways(resources, &mut fleets, &mut gateways, &mut parents);
    listener_sets::attach(resources, &mut fleets, &mut gateways, &mut parents, &mut listeners);
    conflicts::find(&mut listeners);
    overlaps::find(&mut listeners);
    listener_sets::count(&mut gateways, &parents, &listeners);
    let backend_tls = BackendTlsIndex::new(resources);
    let policies = Policies::new(resources);
    let default_gateways = gateways::defaults(&gateways);
    let staying = gateways::staying(resources, &classes, &fleets);
    let reports = Reports::new();
    let mut plan =
        Plan { default_gateways, fleets, staying, gateways, listeners, parents, backend_tls, policies, reports };
    parameters::follow(resources, options, &classes, &mut plan);
    plan
}
