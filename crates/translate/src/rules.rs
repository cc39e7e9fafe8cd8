//! Rules of HTTP and gRPC routes: what they match, and what they do.

mod action;
mod extension;
mod filters;
mod matches;
mod persistence;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{ObjectRef, Route, RouteKind, Stored, gateway::HttpRule};
use ir::{Action, Cluster, ClusterName, Features, Secret, SecretName, Source, WeightedCluster};

use crate::{
    backends::{Resolved, Scope, Usage},
    grants::Referrer,
    policies::Effective,
    problem::Problem,
    shared::Shared,
};

pub(crate) use matches::{Rank, regex};

/// What a route promises, as the exporter reads it.
const OBJECTIVES: &str = "portcullis.dev/slo";

/// What became of all rules of a route, for the listeners of one gateway.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// The routes, unordered.
    pub(crate) entries: Vec<Entry>,
    /// Where bytes go, for routes that have nothing to match.
    pub(crate) layer4: Vec<WeightedCluster>,
    /// What was used on the way.
    pub(crate) used: Used,
    /// Rules, or parts of them, that cannot be served.
    pub(crate) refused: Vec<Problem>,
    /// References that do not resolve.
    pub(crate) unresolved: Vec<Problem>,
    /// What the policies had to do with it.
    pub(crate) policies: PolicyUse,
    /// The index of a rule that a policy wants to fail.
    pub(crate) failing: Option<usize>,
    /// How many rules there are.
    pub(crate) rules: usize,
    /// How many of them were dropped.
    pub(crate) dropped: usize,
}

impl Compiled {
    /// Lets a rule fail: what a policy asks for cannot be done, and passing without it would be worse.
    pub(crate) fn fail(&mut self, rule: RuleScope<'_>) {
        self.failing = Some(rule.index);
    }
}

/// What policies had to do with a route.
#[derive(Debug, Default)]
pub(crate) struct PolicyUse {
    /// What is wrong with a policy.
    pub(crate) problems: Vec<(ObjectRef, Problem)>,
    /// Less specific policies whose place was taken, or that were merged.
    pub(crate) overridden: BTreeSet<ObjectRef>,
    /// Policies that hold for it.
    pub(crate) held: BTreeSet<ObjectRef>,
}

impl PolicyUse {
    /// Whether they had nothing to do with it.
    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty() && self.overridden.is_empty() && self.held.is_empty()
    }

    /// Notes which policy holds, and whose place it took.
    pub(crate) fn note(&mut self, holds: ObjectRef, others: impl Iterator<Item = ObjectRef>) {
        self.held.insert(holds);
        self.overridden.extend(others);
    }
}

/// Clusters and key material that something refers to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    /// Each once.
    pub(crate) clusters: Vec<Arc<Cluster>>,
    pub(crate) secrets: BTreeMap<SecretName, Arc<Secret>>,
    /// What of the clusters TLS policies name, by number.
    pub(crate) tls_targets: Vec<usize>,
}

impl Used {
    /// Notes a back end; gives the name of its cluster.
    pub(crate) fn note(&mut self, resolved: Resolved) -> Option<ClusterName> {
        self.note_keys(resolved).map(|cluster| self.note_cluster(cluster))
    }

    /// Notes what a back end's cluster uses, but not the cluster, which becomes a part of another.
    pub(crate) fn note_keys(&mut self, resolved: Resolved) -> Option<Arc<Cluster>> {
        self.secrets.extend(resolved.secrets.into_iter().map(|secret| (Arc::clone(&secret.name), secret)));
        self.tls_targets.extend(resolved.tls_target);
        resolved.cluster
    }

    /// Notes a cluster; gives its name.
    pub(crate) fn note_cluster(&mut self, cluster: Arc<Cluster>) -> ClusterName {
        let name = Arc::clone(&cluster.name);
        if self.clusters.iter().all(|known| known.name != name) {
            self.clusters.reserve_exact(1);
            self.clusters.push(cluster);
        }
        name
    }
}

/// One route of Envoy, and its place among the others of its host.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) rank: Rank,
    pub(crate) rule: usize,
    pub(crate) route: Arc<ir::Route>,
}

/// Where a rule stands.
#[derive(Clone, Copy)]
pub(crate) struct RuleScope<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) route: &'a Route,
    pub(crate) rule: &'a HttpRule,
    pub(crate) index: usize,
}

impl<'a> RuleScope<'a> {
    fn referrer(&self) -> Referrer<'a> {
        Referrer::of(self.route)
    }

    fn usage(&self) -> Usage {
        match self.route.kind {
            RouteKind::Grpc => Usage::Grpc,
            _ => Usage::Http,
        }
    }
}

/// Compiles all rules of an HTTP or gRPC route.
pub(crate) fn compile(scope: Scope<'_>, route: &Route, effective: &Effective<'_>, shared: &mut Shared) -> Compiled {
    let rules = route.spec.rules.as_deref().unwrap_or_default();
    let mut compiled = Compiled { rules: rules.len(), ..Compiled::default() };
    for (index, rule) in rules.iter().enumerate() {
        let rule_scope = RuleScope { scope, route, rule, index };
        if let Err(problem) = compile_rule(rule_scope, effective, &mut compiled, shared) {
            compiled.dropped += 1;
            let message = format!("Dropped Rule {index}: {}", problem.message);
            compiled.refused.push(Problem::new(problem.reason, message));
        }
    }
    compiled
}

/// Compiles one rule. An error drops the rule, and it alone.
fn compile_rule(
    rule: RuleScope<'_>,
    effective: &Effective<'_>,
    out: &mut Compiled,
    shared: &mut Shared,
) -> Result<(), Problem> {
    let mut filters = filters::of_rule(rule, out)?;
    let matchers = matches::of_rule(rule, &filters.cookies)?;
    effective.apply(rule, &mut filters.features, out);
    filters.fail |= out.failing == Some(rule.index);
    let features = shared.features(std::mem::take(&mut filters.features));
    let source = source(rule, std::mem::take(&mut filters.extensions));
    let action = Arc::new(action::of_rule(rule, filters, out)?);
    let kind = rule.route.kind.as_str().to_lowercase();
    let prefix = format!("{kind}/{}/{}/rule/{}", rule.route.namespace(), rule.route.name(), rule.index);
    out.entries.reserve_exact(matchers.len());
    for (number, (rank, matcher)) in matchers.into_iter().enumerate() {
        let route = ir::Route {
            name: format!("{prefix}/match/{number}").into(),
            source: Arc::clone(&source),
            matcher,
            action: Arc::clone(&action),
            features: Arc::clone(&features),
        };
        out.entries.push(Entry { rank, rule: rule.index, route: Arc::new(route) });
    }
    Ok(())
}

fn source(rule: RuleScope<'_>, filters: Vec<ObjectRef>) -> Arc<Source> {
    Arc::new(Source {
        kind: rule.route.kind,
        route: rule.route.reference(),
        rule: rule.index,
        rule_name: rule.rule.name.clone(),
        filters,
        objectives: rule.route.annotation(OBJECTIVES).map(str::to_owned),
    })
}

/// What a rule's filters ask for.
#[derive(Debug, Default)]
pub(crate) struct RuleFilters {
    pub(crate) features: Features,
    pub(crate) redirect: Option<ir::route::Redirect>,
    pub(crate) respond: Option<ir::route::Respond>,
    pub(crate) path: Option<ir::route::PathRewrite>,
    pub(crate) host: Option<ir::route::HostRewrite>,
    pub(crate) append_forwarded_host: bool,
    pub(crate) mirrors: Vec<ir::route::Mirror>,
    /// Each is a list of cookies that a request must have all of; a request must fit one of the lists.
    pub(crate) cookies: Vec<Vec<(String, ir::route::ValueMatch)>>,
    /// The `HTTPRouteFilter`s among them.
    pub(crate) extensions: Vec<ObjectRef>,
    /// A filter does not resolve: requests must fail rather than pass without it.
    pub(crate) fail: bool,
}

/// The action of a rule that must fail. Clients of gRPC see 503 as UNAVAILABLE.
pub(crate) fn failure(rule: RuleScope<'_>) -> Action {
    Action::Respond(ir::route::Respond {
        status: if rule.route.kind == RouteKind::Grpc { 503 } else { 500 },
        body: None,
        headers: ir::route::HeaderMutation::default(),
        content_type: None,
    })
}
