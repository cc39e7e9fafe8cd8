//! One route: which listeners take it, and what became of its rules.

pub(crate) mod contests;
mod layer4;

use std::sync::Arc;

use api::{
    ObjectRef, Resources, Route, RouteKind, Stored,
    gateway::{GROUP, Gateway, ParentRef, UseDefaultGateways},
};

use crate::{
    Options,
    backends::{RedirectsFrom, Scope},
    names,
    plan::{ListenerPlan, Parent, Plan, Protocol},
    policies::{Effective, Signature},
    problem::{Problem, condition},
    rejections::rejection,
    report::{Condition, ParentStatus, Report, Status},
    rules::{self, Compiled},
    shared::Shared,
};

/// What became of a route. It stays valid as long as the route and the plan do.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) route: Arc<Route>,
    pub(crate) reference: Arc<ObjectRef>,
    /// The place among competing routes.
    pub(crate) age: Age,
    /// For each parent of ours.
    pub(crate) parents: Vec<ParentOutcome>,
    /// Its status, unless it loses a contest.
    pub(crate) report: Option<Arc<Report>>,
}

/// The older route comes first, then by namespace and name.
pub(crate) type Age = (Option<api::Timestamp>, String);

/// What became of a route towards one parent.
#[derive(Clone, Debug)]
pub(crate) struct ParentOutcome {
    /// The parent, as the route names it.
    pub(crate) reference: ParentRef,
    /// The gateway that serves it.
    pub(crate) gateway: usize,
    /// Why no listener takes it.
    pub(crate) refused: Option<Problem>,
    /// The listeners that take it.
    pub(crate) attachments: Vec<Attachment>,
}

/// A listener that takes a route.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) listener: usize,
    /// The hosts it is taken for; empty where there are none.
    pub(crate) domains: Vec<Arc<str>>,
    pub(crate) compiled: Arc<Compiled>,
}

impl Outcome {
    /// All attachments to all parents.
    pub(crate) fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        self.parents.iter().flat_map(|parent| &parent.attachments)
    }
}

/// What routes are looked at with.
#[derive(Clone, Copy)]
pub(crate) struct RouteScope<'a> {
    pub(crate) resources: &'a Resources,
    pub(crate) options: &'a Options,
    pub(crate) plan: &'a Plan,
}

/// What becomes of a route.
pub(crate) fn outcome(scope: RouteScope<'_>, route: &Arc<Route>, shared: &mut Shared) -> Outcome {
    let mut compiled = Vec::new();
    let named = route.spec.parent_refs.as_deref().unwrap_or_default();
    let asks_for_default = route.spec.use_default_gateways == Some(UseDefaultGateways::All);
    let default = if asks_for_default { scope.plan.default_gateways.as_slice() } else { &[] };
    let also = default.iter().filter(|item| !named.iter().any(|named| same_parent(route, named, item)));
    let mut parents = Vec::with_capacity(named.len());
    for reference in named.iter().chain(also) {
        let Some(parent) = find_parent(scope.plan, route, reference) else { continue };
        let rejected = rejection(scope.resources, scope.plan.fleet_of(parent.gateway), &**route);
        let mut outcome = ParentOutcome {
            reference: reference.clone(),
            gateway: parent.gateway,
            refused: rejected.clone(),
            attachments: Vec::new(),
        };
        match attach(scope, route, reference, parent) {
            Ok(taken) if rejected.is_none() => {
                let mut attachment =
                    |(listener, domains)| attachment(scope, route, listener, domains, &mut compiled, shared);
                outcome.attachments = taken.into_iter().map(&mut attachment).collect();
            }
            Ok(_) => {}
            Err(problem) => outcome.refused = Some(problem),
        }
        parents.push(outcome);
    }
    let report = report(route, &parents);
    Outcome { reference: Arc::new(route.reference()), age: route.age(), route: Arc::clone(route), parents, report }
}

/// Whether a route names a default gateway itself.
fn same_parent(route: &Route, named: &ParentRef, default: &ParentRef) -> bool {
    named.name == default.name
        && named.namespace.as_deref().unwrap_or(route.namespace()) == default.namespace.as_deref().unwrap_or_default()
        && named.kind.as_deref().unwrap_or(Gateway::KIND) == Gateway::KIND
}

/// The status of a route; nothing when no parent is ours.
pub(crate) fn report(route: &Route, parents: &[ParentOutcome]) -> Option<Arc<Report>> {
    let status =
        |parent: &ParentOutcome| ParentStatus { parent: parent.reference.clone(), conditions: conditions(parent) };
    let parents: Vec<_> = parents.iter().map(status).collect();
    (!parents.is_empty())
        .then(|| Arc::new(Report { generation: route.generation(), status: Status::Parents(parents), fleet: None }))
}

/// The parent of ours that a reference names.
fn find_parent<'a>(plan: &'a Plan, route: &Route, reference: &ParentRef) -> Option<&'a Parent> {
    plan.parents.get(&ObjectRef::new(
        reference.group.as_deref().unwrap_or(GROUP),
        reference.kind.as_deref().unwrap_or(Gateway::KIND),
        reference.namespace.as_deref().unwrap_or(route.namespace()),
        &reference.name,
    ))
}

/// The listeners of a parent that take a route, and the hosts they take it for.
fn attach(
    scope: RouteScope<'_>,
    route: &Route,
    reference: &ParentRef,
    parent: &Parent,
) -> Result<Vec<(usize, Vec<String>)>, Problem> {
    let named = |listener: &ListenerPlan| {
        reference.section_name.as_deref().is_none_or(|section| section.is_empty() || section == listener.name)
            && reference.port.is_none_or(|port| listener.port.map(i32::from) == Some(port))
    };
    let listeners = parent.listeners.iter().map(|index| (*index, &scope.plan.listeners[*index]));
    let named: Vec<_> = listeners.filter(|(_, listener)| named(listener)).collect();
    if named.is_empty() {
        return Err(Problem::new("NoMatchingParent", "the parent has no listener of this sectionName and port"));
    }
    let allows = |listener: &ListenerPlan| {
        listener.kinds.contains(&route.kind)
            && listener.namespaces.allow(scope.resources, &listener.owner.namespace, route.namespace())
    };
    let allowed: Vec<_> = named.into_iter().filter(|(_, listener)| allows(listener)).collect();
    if allowed.is_empty() {
        let message = format!(
            "no listener takes a {} from namespace {}; its allowedRoutes say which",
            route.kind.as_str(),
            route.namespace()
        );
        return Err(Problem::new("NotAllowedByListeners", message));
    }
    let hostnames: Vec<String> =
        route.spec.hostnames.iter().flatten().filter_map(|name| names::normalize(Some(name))).collect();
    let has_hosts = matches!(route.kind, RouteKind::Http | RouteKind::Grpc | RouteKind::Tls);
    let taken: Vec<_> = allowed
        .into_iter()
        .map(|(index, listener)| match (has_hosts, listener.protocol) {
            // A TCPRoute behind TLS has all hosts of its listener.
            (true, _) | (false, Some(Protocol::TlsTerminate)) => {
                (index, names::domains(listener.hostname.as_deref(), &hostnames))
            }
            (false, _) => (index, Vec::new()),
        })
        .filter(|(_, domains)| !has_hosts || !domains.is_empty())
        .collect();
    match taken.is_empty() {
        false => Ok(taken),
        true => {
            Err(Problem::new("NoMatchingListenerHostname", "no hostname of the route is one of a listener's hosts"))
        }
    }
}

/// Compiles a route for a listener, once for all listeners for which the same holds.
fn attachment(
    scope: RouteScope<'_>,
    route: &Arc<Route>,
    listener: usize,
    domains: Vec<String>,
    compiled: &mut Vec<(usize, Signature, Arc<Compiled>)>,
    shared: &mut Shared,
) -> Attachment {
    let RouteScope { resources, options, plan } = scope;
    let listener_plan = &plan.listeners[listener];
    let gateway = listener_plan.gateway;
    let above = Effective::above(resources, listener_plan, &plan.gateways[gateway].resource);
    let redirects_from = redirects_from(route, listener_plan);
    let passthrough = listener_plan.protocol == Some(Protocol::TlsPassthrough);
    let mut signature = plan.policies.signature(resources, &above);
    let from = redirects_from.map(|from| usize::from(from.port) * 2 + usize::from(from.https));
    signature.extend([from, passthrough.then_some(1)]);
    let known = compiled.iter().find(|(index, known, _)| *index == gateway && *known == signature);
    let domains = domains.into_iter().map(Arc::from).collect();
    if let Some((_, _, result)) = known {
        return Attachment { listener, domains, compiled: Arc::clone(result) };
    }
    let scope = Scope { resources, options, plan, gateway, redirects_from, passthrough };
    let mut result = match route.kind {
        RouteKind::Http | RouteKind::Grpc => rules::compile(scope, route, &Effective { route, above }, shared),
        RouteKind::Tls | RouteKind::Tcp | RouteKind::Udp => layer4::compile(scope, route),
    };
    for cluster in &mut result.used.clusters {
        *cluster = shared.cluster(Arc::clone(cluster));
    }
    let result = Arc::new(result);
    compiled.push((gateway, signature, Arc::clone(&result)));
    Attachment { listener, domains, compiled: result }
}

/// The listener, where the route has a redirect whose location depends on it: one that names no scheme.
fn redirects_from(route: &Route, listener: &ListenerPlan) -> Option<RedirectsFrom> {
    let filters = route.spec.rules.iter().flatten().flat_map(|rule| rule.filters.iter().flatten());
    let mut redirects = filters.filter_map(|filter| filter.request_redirect.as_ref());
    let depends = redirects.any(|redirect| redirect.scheme.is_none());
    let from = RedirectsFrom { port: listener.port?, https: listener.protocol == Some(Protocol::Https) };
    depends.then_some(from)
}

/// The conditions of a route towards one parent.
fn conditions(parent: &ParentOutcome) -> Vec<Condition> {
    let compiled = parent.attachments.first().map(|attachment| &attachment.compiled);
    let refused = compiled.map(|compiled| compiled.refused.as_slice()).unwrap_or_default();
    let unresolved = compiled.map(|compiled| compiled.unresolved.as_slice()).unwrap_or_default();
    let all_dropped = compiled.is_some_and(|compiled| compiled.rules > 0 && compiled.dropped == compiled.rules);
    let accepted: Vec<&Problem> = match all_dropped {
        true => refused.iter().collect(),
        false => parent.refused.iter().collect(),
    };
    let mut conditions =
        vec![condition("Accepted", "Accepted", accepted), condition("ResolvedRefs", "ResolvedRefs", unresolved)];
    if !all_dropped && !refused.is_empty() {
        let dropped = condition("PartiallyInvalid", "", refused);
        conditions.push(Condition::yes("PartiallyInvalid", dropped.reason, dropped.message));
    }
    conditions
}
