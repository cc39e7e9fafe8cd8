//! What runs: the controller, and what makes its certificates.

use api::config::{KIND, KubernetesDeployType};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{AUTHORITY, CERTGEN, CONFIG, HEALTH, METRICS, NAME, Options, Port, RATE_LIMIT, WEBHOOK, XDS, labels};

/// Nobody: the user and group of all pods.
const USER: u32 = 65532;
/// The configuration's file in its ConfigMap.
const CONFIG_FILE: &str = "envoy-gateway.yaml";

pub(super) fn objects(options: &Options) -> Vec<Value> {
    let config = configuration(options);
    // JSON is YAML; whoever edits it need not know.
    let text = serde_saphyr::to_string(&config).expect("a value without odd keys is YAML");
    vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": options.meta(CONFIG), "data": {CONFIG_FILE: text}}),
        service(options),
        deployment(options, &text),
        job(options, CERTGEN, &[]),
        renewal(options),
    ]
}

/// The controller's configuration.
pub(super) fn configuration(options: &Options) -> Value {
    let mut kubernetes = json!({"listen": {"webhook": format!("0.0.0.0:{}", WEBHOOK.number)}});
    if !options.watched.is_empty() {
        kubernetes["watch"] = json!({"type": "Namespaces", "namespaces": options.watched});
    }
    if options.deploy != KubernetesDeployType::default() {
        kubernetes["deploy"] = json!({"type": options.deploy});
    }
    json!({"apiVersion": format!("{}/{}", api::ext::GROUP, api::ext::VERSION), "kind": KIND,
        "provider": {"type": "Kubernetes", "kubernetes": kubernetes}})
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn service(options: &Options) -> Value {
    let port = |Port { name, number }| json!({"name": name, "port": number, "targetPort": name});
    let ports = [XDS, RATE_LIMIT, METRICS, WEBHOOK].map(port);
    json!({"apiVersion": "v1", "kind": "Service", "metadata": options.meta(NAME),
        "spec": {"selector": labels(NAME), "ports": ports}})
}

fn deployment(options: &Options, config: &str) -> Value {
    let mut spec = pod(NAME);
    spec["containers"] = json!([container(options)]);
    spec["volumes"] = json!([
        {"name": "config", "configMap": {"name": CONFIG}},
        // Its pods wait until certgen has made them.
        {"name": "certs", "secret": {"secretName": NAME, "defaultMode": 0o440}},
        {"name": "authority", "secret": {"secretName": AUTHORITY, "defaultMode": 0o440}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
    ]);
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": options.meta(NAME), "spec": {
        "replicas": 1,
        "selector": {"matchLabels": labels(NAME)},
        "template": {
            "metadata": {"labels": labels(NAME), "annotations": {
                // The configuration is read at start: another one of ours is another pod, and whoever edits it restarts it.
                "checksum/config": hash(config),
                "prometheus.io/scrape": "true", "prometheus.io/port": METRICS.number.to_string()}},
            "spec": spec}}})
}

fn container(options: &Options) -> Value {
    let port = |Port { name, number }| json!({"name": name, "containerPort": number});
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path, "readOnly": name != "tmp"});
    let probe =
        |path: &str, period: u32| json!({"httpGet": {"path": path, "port": HEALTH.name}, "periodSeconds": period});
    let address = format!("0.0.0.0:{}", XDS.number);
    let config = format!("/config/{CONFIG_FILE}");
    let ports = [XDS, RATE_LIMIT, METRICS, WEBHOOK, HEALTH].map(port);
    let command = [
        "portcullis",
        "server",
        "--config-path",
        &config,
        "--xds-address",
        &address,
        "--certs",
        "/certs",
        "--authority",
        "/authority",
    ];
    json!({
        "name": NAME, "image": options.image, "imagePullPolicy": "IfNotPresent", "command": command,
        "env": [
            own_namespace(),
            // What the pods of Envoys run beside Envoy.
            {"name": "PORTCULLIS_IMAGE", "value": options.image},
        ],
        "ports": ports,
        "livenessProbe": probe("/livez", 20), "readinessProbe": probe("/readyz", 5),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": restricted(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            mount("config", "/config"), mount("certs", "/certs"), mount("authority", "/authority"), mount("tmp", "/tmp"),
        ],
    })
}

/// Makes certificates every week, of which all but one do nothing.
fn renewal(options: &Options) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": options.meta(CERTGEN), "spec": {
        "schedule": "17 3 * * 0", "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 1,
        "jobTemplate": {"spec": run(options, &[])}}})
}

/// One run of certgen as a Job. None can be changed, and the last one stays for a while when it's done: another version's has
/// another name, so that it can be applied at any time.
pub(super) fn job(options: &Options, name: &str, more: &[&str]) -> Value {
    let spec = run(options, more);
    let mut meta = options.meta(name);
    meta["name"] = json!(format!("{name}-{}", hash(&spec.to_string())));
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
}

/// One run of certgen.
fn run(options: &Options, more: &[&str]) -> Value {
    let mut spec = pod(CERTGEN);
    let command = [&["portcullis", "certgen", "--kubernetes"], more].concat();
    spec["restartPolicy"] = json!("OnFailure");
    spec["containers"] = json!([{
        "name": "certgen", "image": options.image, "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [own_namespace()],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": restricted(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }]);
    json!({"backoffLimit": 5, "ttlSecondsAfterFinished": 60,
        "template": {"metadata": {"labels": labels(CERTGEN)}, "spec": spec}})
}

/// What all pods have in common.
fn pod(account: &str) -> Value {
    json!({"serviceAccountName": account, "securityContext": {
        "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"}}})
}

fn restricted() -> Value {
    json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
}

fn own_namespace() -> Value {
    json!({"name": "ENVOY_GATEWAY_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}})
}
