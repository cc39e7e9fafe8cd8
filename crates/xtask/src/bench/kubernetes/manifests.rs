//! What is put into the cluster to be measured: a Gateway, two backends behind ten Services, and routes.

use serde_json::{Value, json};
use testbed::tools;

/// The namespace of all that is no controller's.
pub(super) const NAMESPACE: &str = "bench";
/// The class and the Gateway.
pub(super) const NAME: &str = "eg";
/// Where the routes of the namespace are.
pub(super) const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/bench/httproutes";
/// How many Services share the routes.
const SERVICES: usize = 10;
/// How many rules the route has whose rules are put into another order.
const RULES: usize = 16;

/// All but routes. Every controller gets the same Envoy with the same resources.
pub(super) fn ground(echo: &str) -> Vec<Value> {
    let meta = |name: &str| json!({"name": name, "namespace": NAMESPACE});
    let envoy = format!("docker.io/envoyproxy/envoy:distroless-v{}", tools::versions().envoy.version);
    let container = json!({"image": envoy, "resources": {"requests": {"cpu": "500m", "memory": "128Mi"}}});
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": meta(NAME), "spec": {
            "concurrency": 2,
            "provider": {"type": "Kubernetes", "kubernetes": {"envoyDeployment": {"container": container}}}}}),
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": meta(NAME), "spec": {
            "gatewayClassName": NAME,
            "infrastructure":
                {"parametersRef": {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": NAME}},
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}}),
    ];
    all.extend((0..2).map(|backend| {
        let labels = json!({"app": format!("echo-{backend}")});
        let listen = json!(["--listen", "0.0.0.0:8080"]);
        // Without a request a backend would weigh next to nothing, and wait for whoever has something to do.
        let resources = json!({"requests": {"cpu": "200m", "memory": "32Mi"}});
        let container = json!({"name": "echo", "image": echo, "imagePullPolicy": "IfNotPresent", "args": listen,
            "resources": resources});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(&format!("echo-{backend}")), "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}})
    }));
    all.extend((0..SERVICES).map(|service| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(&format!("s{service}")), "spec": {
            "selector": {"app": format!("echo-{}", service % 2)}, "ports": [{"port": 80, "targetPort": 8080}]}})
    }));
    all
}

/// The host of a route.
pub(super) fn host(name: &str) -> String {
    format!("{name}.example.com")
}

/// A route with a host of its own.
pub(super) fn route(name: &str, rules: &Value) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"parentRefs": [{"name": NAME}], "hostnames": [host(name)], "rules": rules}})
}

/// The one rule that most routes have.
pub(super) fn rules(path: &str, service: usize) -> Value {
    json!([rule(path, service)])
}

/// Many rules, in another order for each turn and with other backends for each shift.
pub(super) fn many_rules(turn: usize, shift: usize) -> Value {
    let numbers = (0..RULES).map(|place| (place + turn) % RULES);
    numbers.map(|number| rule(&format!("/r{number}/"), number + shift)).collect()
}

fn rule(path: &str, service: usize) -> Value {
    json!({"matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "backendRefs": [{"name": format!("s{}", service % SERVICES), "port": 80}]})
}
