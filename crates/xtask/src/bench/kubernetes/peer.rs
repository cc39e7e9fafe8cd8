//! Envoy Gateway in the cluster, as its chart installs it, but for rights (it may do everything) and what these measurements have
//! no use for.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::cluster::Handle;
use testbed::tools::{module_dir, module_version};

/// Its module.
const MODULE: &str = "github.com/envoyproxy/gateway";
/// Its image.
pub(super) const IMAGE: &str = "docker.io/envoyproxy/gateway:bench";
const NAMESPACE: &str = "envoy-gateway-system";
const NAME: &str = "envoy-gateway";
const ACCOUNT: &str = "envoy-gateway";
/// Name and number of its ports.
const PORTS: [(&str, u16); 4] = [("grpc", 18_000), ("ratelimit", 18_001), ("wasm", 18_002), ("metrics", 19_001)];

/// Its version.
pub(super) fn version() -> Result<&'static str> {
    module_version(MODULE)
}

/// Installs its resource definitions, as its module has them.
pub(super) async fn install_definitions(cluster: &Handle) -> Result<()> {
    let path = "charts/gateway-helm/charts/crds/crds/generated";
    let dir = tokio::task::spawn_blocking(move || module_dir(MODULE, path)).await??;
    for file in fs::read_dir(dir)? {
        cluster.apply(&fs::read_to_string(file?.path())?).await?;
    }
    cluster.wait(&["--for=condition=Established", "crd", "--all"]).await
}

/// What installs it.
pub(super) fn objects() -> Vec<Value> {
    let meta = |name: &str| json!({"name": name, "namespace": NAMESPACE});
    let config = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway",
        "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        "logging": {"level": {"default": "info"}},
        "provider": {"type": "Kubernetes", "kubernetes":
            {"shutdownManager": {"image": IMAGE}, "proxyTopologyInjector": {"disabled": true}}}});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(ACCOUNT)}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": NAME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("envoy-gateway-config"),
            "data": {"envoy-gateway.yaml": config.to_string()}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(NAME), "spec": {
            "selector": {"app": NAME},
            "ports": PORTS.map(|(name, port)| json!({"name": name, "port": port, "targetPort": port}))}}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta("certgen"), "spec": {"template": {"spec":
            pod("Never", &["certgen", "--disable-topology-injector"], &json!([]))}}}),
        deployment(&meta(NAME)),
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": super::manifests::NAME},
            "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"}}),
    ]
}

fn deployment(meta: &Value) -> Value {
    let mounts = json!([
        {"name": "config", "mountPath": "/config", "readOnly": true},
        {"name": "certs", "mountPath": "/certs", "readOnly": true},
        {"name": "wasm", "mountPath": "/var/lib/eg/wasm"}]);
    let mut spec = pod("Always", &["server", "--config-path=/config/envoy-gateway.yaml"], &mounts);
    spec["containers"][0]["readinessProbe"] = json!({"httpGet": {"path": "/readyz", "port": 8081}, "periodSeconds": 1});
    spec["volumes"] = json!([
        {"name": "config", "configMap": {"name": "envoy-gateway-config"}},
        // Its pod waits until certgen has made them.
        {"name": "certs", "secret": {"secretName": NAME}},
        {"name": "wasm", "emptyDir": {}}]);
    let labels = json!({"app": NAME});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}})
}

fn pod(restart: &str, args: &[&str], mounts: &Value) -> Value {
    let namespace =
        json!({"name": "ENVOY_GATEWAY_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}});
    json!({
        "serviceAccountName": ACCOUNT, "restartPolicy": restart,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
        "containers": [{
            "name": NAME, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "args": args, "volumeMounts": mounts,
            "env": [namespace, {"name": "KUBERNETES_CLUSTER_DOMAIN", "value": "cluster.local"}],
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}]})
}
