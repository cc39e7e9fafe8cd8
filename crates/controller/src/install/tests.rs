use std::collections::BTreeSet;

use api::{KINDS, Scope};

use super::*;

fn all(options: &Options) -> Vec<Value> {
    [objects(options).unwrap(), webhook(options)].concat()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// `verb group/resource` of all rules of an object, with the names that it's held to.
fn rights(role: &Value) -> BTreeSet<String> {
    let texts = |value: &Value| {
        let items = value.as_array().into_iter().flatten();
        items.map(|item| item.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in texts(&rule["resources"]) {
            for verb in texts(&rule["verbs"]) {
                let group = rule["apiGroups"][0].as_str().unwrap();
                let names = texts(&rule["resourceNames"]).join(",");
                rights.insert(format!("{verb} {group}/{resource} {names}").trim_end().to_owned());
            }
        }
    }
    rights
}

fn role<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    of_kind(objects, kind).into_iter().find(|role| role["metadata"]["name"] == name).unwrap()
}

fn set<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.map(str::to_owned).into()
}

/// What is asked for all kinds that are in a namespace.
fn reading() -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    for row in KINDS.iter().filter(|row| row.scope == Scope::Namespaced) {
        let is_fetched = ["Secret", "ConfigMap"].contains(&row.kind);
        for verb in ["list", "watch"].iter().chain(is_fetched.then_some(&"get")) {
            wanted.insert(format!("{verb} {}/{}", row.group, row.plural));
        }
        if row.status {
            wanted.insert(format!("patch {}/{}/status", row.group, row.plural));
        }
    }
    wanted
}

const CLASSES: [&str; 4] = [
    "list gateway.networking.k8s.io/gatewayclasses",
    "patch gateway.networking.k8s.io/gatewayclasses",
    "patch gateway.networking.k8s.io/gatewayclasses/status",
    "watch gateway.networking.k8s.io/gatewayclasses",
];

#[test]
fn the_controller_has_the_rights_that_its_code_uses_and_no_more() {
    let objects = all(&Options::default());
    let mut wanted = set(CLASSES);
    wanted.extend(set(["list /namespaces", "watch /namespaces", "list /nodes", "watch /nodes"]));
    wanted.extend(set(["watch apiextensions.k8s.io/customresourcedefinitions"]));
    wanted.extend(reading());
    assert_eq!(rights(role(&objects, "ClusterRole", "envoy-gateway.envoy-gateway-system")), wanted);

    let mut wanted = set([
        "create coordination.k8s.io/leases",
        "get coordination.k8s.io/leases 5b9825d2.gateway.envoyproxy.io",
        "update coordination.k8s.io/leases 5b9825d2.gateway.envoyproxy.io",
    ]);
    let fleet = [
        "/serviceaccounts",
        "/secrets",
        "/services",
        "apps/deployments",
        "apps/daemonsets",
        "autoscaling/horizontalpodautoscalers",
        "policy/poddisruptionbudgets",
    ];
    for resource in fleet {
        wanted.extend(["create", "delete", "list", "patch", "watch"].map(|verb| format!("{verb} {resource}")));
    }
    assert_eq!(rights(role(&objects, "Role", "envoy-gateway")), wanted);
}

#[test]
fn who_watches_namespaces_has_rights_in_these_only() {
    let options = Options { watched: vec!["a".to_owned(), "b".to_owned()], ..Options::default() };
    let objects = all(&options);
    let mut wanted = set(CLASSES);
    wanted.extend(set(["list /namespaces a,b", "watch /namespaces a,b"]));
    wanted.extend(set(["watch apiextensions.k8s.io/customresourcedefinitions"]));
    assert_eq!(rights(role(&objects, "ClusterRole", "envoy-gateway.envoy-gateway-system")), wanted);
    let name = "envoy-gateway-resources.envoy-gateway-system";
    let mut namespaces = Vec::new();
    for role in of_kind(&objects, "Role").into_iter().filter(|role| role["metadata"]["name"] == name) {
        assert_eq!(rights(role), reading());
        namespaces.push(&role["metadata"]["namespace"]);
    }
    assert_eq!(namespaces, ["a", "b"]);
}

#[test]
fn envoys_in_their_gateways_namespaces_need_rights_there() {
    let deploy = KubernetesDeployType::GatewayNamespace;
    let objects = all(&Options { deploy, ..Options::default() });
    let name = "envoy-gateway.envoy-gateway-system";
    assert!(rights(role(&objects, "ClusterRole", name)).contains("create apps/deployments"));
    assert!(!rights(role(&objects, "Role", "envoy-gateway")).contains("create apps/deployments"));
    let objects = all(&Options { deploy, watched: vec!["a".to_owned()], ..Options::default() });
    assert!(!rights(role(&objects, "ClusterRole", name)).contains("create apps/deployments"));
    let in_a = role(&objects, "Role", "envoy-gateway-resources.envoy-gateway-system");
    assert!(rights(in_a).contains("create apps/deployments"));
    // Those of merged Gateways.
    assert!(rights(role(&objects, "Role", "envoy-gateway")).contains("create apps/deployments"));
}

#[test]
fn every_role_is_bound_to_an_account_that_is_there() {
    for options in [Options::default(), Options { watched: vec!["a".to_owned()], ..Options::default() }] {
        let objects = all(&options);
        let accounts: Vec<_> =
            of_kind(&objects, "ServiceAccount").into_iter().map(|account| &account["metadata"]["name"]).collect();
        for kind in ["Role", "ClusterRole"] {
            for role in of_kind(&objects, kind) {
                let bindings = of_kind(&objects, &format!("{kind}Binding"));
                let binding = bindings.into_iter().find(|binding| {
                    binding["roleRef"]["name"] == role["metadata"]["name"]
                        && binding["metadata"]["namespace"] == role["metadata"]["namespace"]
                });
                let subject = &binding.unwrap_or_else(|| panic!("nobody has {role}"))["subjects"][0];
                assert!(accounts.contains(&&subject["name"]), "{subject}");
                assert_eq!(subject["namespace"], NAMESPACE);
            }
        }
    }
}

#[test]
fn the_configuration_is_one_that_the_controller_reads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("envoy-gateway.yaml");
    for watched in [Vec::new(), vec!["a".to_owned()]] {
        let objects = objects(&Options { watched: watched.clone(), ..Options::default() }).unwrap();
        let config = of_kind(&objects, "ConfigMap")[0];
        std::fs::write(&file, config["data"]["envoy-gateway.yaml"].as_str().unwrap()).unwrap();
        let kubernetes = crate::config::load(&file).unwrap().provider.kubernetes.unwrap();
        assert_eq!(kubernetes.watch.map(|watch| watch.namespaces).unwrap_or_default(), watched);
        assert_eq!(kubernetes.listen.health, format!("0.0.0.0:{}", HEALTH.number));
        assert_eq!(kubernetes.listen.metrics, format!("0.0.0.0:{}", METRICS.number));
        assert_eq!(kubernetes.listen.webhook, Some(format!("0.0.0.0:{}", WEBHOOK.number)));
    }
}

#[test]
fn another_configuration_is_another_pod() {
    let template = |watched: &[&str]| {
        let watched = watched.iter().map(|&name| name.to_owned()).collect();
        let objects = objects(&Options { watched, ..Options::default() }).unwrap();
        of_kind(&objects, "Deployment")[0]["spec"]["template"]["metadata"].clone()
    };
    assert_eq!(template(&["a"]), template(&["a"]));
    assert_ne!(template(&["a"]), template(&["b"]));
}

#[test]
fn a_job_that_differs_has_another_name_as_none_can_be_changed() {
    let jobs = |image: &str| {
        let objects = all(&Options { image: image.to_owned(), ..Options::default() });
        let jobs = of_kind(&objects, "Job").into_iter().map(|job| job["metadata"]["name"].as_str().unwrap().to_owned());
        jobs.collect::<BTreeSet<_>>()
    };
    let (first, second) = (jobs("portcullis:1"), jobs("portcullis:2"));
    assert_eq!((first.len(), &first), (2, &jobs("portcullis:1")));
    assert!(first.is_disjoint(&second), "{first:?} {second:?}");
}
