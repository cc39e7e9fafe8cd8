//! The rights of the controller: what its code asks the API server for, and nothing else.

use api::{KINDS, Kind, Scope, config::KubernetesDeployType};
use serde_json::{Value, json};

use super::{AUTHORITY, CERTGEN, NAME, Options, RATE_LIMIT_SECRET, SINGLE_SIGN_ON_SECRET, cluster_meta};
use crate::{
    infra, leader,
    source::kube::{CRDS, verbs},
};

const GROUP: &str = "rbac.authorization.k8s.io";

/// What may be done with one resource.
struct Right {
    group: String,
    resource: String,
    verbs: &'static [&'static str],
    /// Those of these names only; empty for all.
    names: Vec<String>,
}

impl Right {
    fn new(group: &str, resource: &str, verbs: &'static [&'static str]) -> Self {
        Self { group: group.to_owned(), resource: resource.to_owned(), verbs, names: Vec::new() }
    }

    fn named(self, names: &[&str]) -> Self {
        Self { names: names.iter().map(|&name| name.to_owned()).collect(), ..self }
    }
}

/// The account of the controller and its rights.
pub(super) fn controller(options: &Options) -> Vec<Value> {
    let scoped = |scope| KINDS.iter().filter(move |row| row.scope == scope).flat_map(|row| of_row(row, options));
    let watches_all = options.watched.is_empty();
    let with_gateways = options.deploy == KubernetesDeployType::GatewayNamespace;
    let (mut everywhere, mut at_home) = (scoped(Scope::Cluster).collect::<Vec<_>>(), election());
    everywhere.push(Right::new(CRDS.0, CRDS.1, &["watch"]));
    if watches_all {
        everywhere.extend(scoped(Scope::Namespaced));
        // By nodes' addresses are Services of type NodePort reached.
        everywhere.push(Right::new("", "nodes", &["list", "watch"]));
    }
    // Those of merged Gateways stay at home in any case.
    let of_fleets = if watches_all && with_gateways { &mut everywhere } else { &mut at_home };
    of_fleets.extend(fleets());
    let mut objects = vec![account(options, NAME)];
    objects.extend(cluster_role(options, NAME, &everywhere));
    for namespace in &options.watched {
        let mut rights: Vec<_> = scoped(Scope::Namespaced).collect();
        rights.extend(with_gateways.then(fleets).into_iter().flatten());
        objects.extend(role(options, namespace, &format!("{NAME}-resources"), NAME, &rights));
    }
    objects.extend(role(options, &options.namespace, NAME, NAME, &at_home));
    objects
}

/// The account of whatever makes certificates, and its rights: on the Secrets of its own.
pub(super) fn certgen(options: &Options) -> Vec<Value> {
    // Who may create cannot be held to a name.
    let rights = [
        Right::new("", "secrets", &["create"]),
        Right::new("", "secrets", &["get", "update"]).named(&[
            AUTHORITY,
            NAME,
            RATE_LIMIT_SECRET,
            SINGLE_SIGN_ON_SECRET,
        ]),
    ];
    let mut objects = vec![account(options, CERTGEN)];
    objects.extend(role(options, &options.namespace, CERTGEN, CERTGEN, &rights));
    objects
}

/// The right to put the authority into the webhook's configuration.
pub(super) fn webhook(options: &Options, configuration: &str) -> [Value; 2] {
    let right = Right::new("admissionregistration.k8s.io", "validatingwebhookconfigurations", &["get", "update"]);
    cluster_role(options, CERTGEN, &[right.named(&[configuration])])
}

/// What is asked for a row of the table.
fn of_row(row: &Kind, options: &Options) -> Vec<Right> {
    let mut read = Right::new(row.group, row.plural, verbs(row));
    if row.kind == "Namespace" {
        // A list of one namespace by its name may be allowed by the name.
        read.names.clone_from(&options.watched);
    }
    let mut rights = vec![read];
    if row.status {
        rights.push(Right::new(row.group, &format!("{}/status", row.plural), &["patch"]));
    }
    if row.kind == "GatewayClass" {
        // Its finalizer.
        rights.push(Right::new(row.group, row.plural, &["patch"]));
    }
    rights
}

/// To be leader.
fn election() -> Vec<Right> {
    let group = "coordination.k8s.io";
    vec![
        Right::new(group, "leases", &["create"]),
        Right::new(group, "leases", &["get", "update"]).named(&[leader::LEASE]),
    ]
}

/// To run Envoys. An apply is a patch, and a create where there is nothing yet.
fn fleets() -> Vec<Right> {
    let right = |kind: infra::kube::Kind| {
        let resource = kind.resource();
        Right::new(&resource.group, &resource.plural, &["create", "delete", "list", "patch", "watch"])
    };
    infra::kube::Kind::ALL.into_iter().map(right).collect()
}

fn account(options: &Options, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": options.meta(name)})
}

/// Rights in the whole cluster for an account of ours.
fn cluster_role(options: &Options, account: &str, rights: &[Right]) -> [Value; 2] {
    let name = options.cluster_name(account);
    let meta = cluster_meta(&name);
    [
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": meta, "rules": rules(rights)}),
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}, "subjects": subjects(options, account)}),
    ]
}

/// Rights in one namespace for an account of ours.
fn role(options: &Options, namespace: &str, name: &str, account: &str, rights: &[Right]) -> [Value; 2] {
    // In others' namespaces two installations may meet.
    let name = if namespace == options.namespace { name.to_owned() } else { options.cluster_name(name) };
    let mut meta = cluster_meta(&name);
    meta["namespace"] = json!(namespace);
    [
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Role", "metadata": meta, "rules": rules(rights)}),
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": name}, "subjects": subjects(options, account)}),
    ]
}

fn subjects(options: &Options, account: &str) -> Value {
    json!([{"kind": "ServiceAccount", "name": account, "namespace": options.namespace}])
}

/// Rights as rules: those that differ in the resource only are one.
fn rules(rights: &[Right]) -> Vec<Value> {
    let mut rules: Vec<Value> = Vec::new();
    for right in rights {
        let mut rule = json!({"apiGroups": [right.group], "verbs": right.verbs, "resources": []});
        if !right.names.is_empty() {
            rule["resourceNames"] = json!(right.names);
        }
        let same = rules.iter().position(|other| {
            ["apiGroups", "verbs", "resourceNames"].into_iter().all(|field| other.get(field) == rule.get(field))
        });
        let index = same.unwrap_or_else(|| {
            rules.push(rule);
            rules.len() - 1
        });
        if let Some(resources) = rules[index]["resources"].as_array_mut() {
            resources.push(json!(right.resource));
        }
    }
    rules
}
