//! The validating webhook, for whoever wants it.

use api::KINDS;
use serde_json::{Value, json};

use super::{CERTGEN, NAME, Options, WEBHOOK, cluster_meta, rbac, workload};
use crate::admission;

/// The webhook's configuration, and what puts the authority into it.
pub fn webhook(options: &Options) -> Vec<Value> {
    let name = options.cluster_name(NAME);
    let mut objects = vec![configuration(options, &name)];
    objects.extend(rbac::webhook(options, &name));
    objects.push(workload::job(options, &format!("{CERTGEN}-webhook"), &["--webhook", &name]));
    objects
}

fn configuration(options: &Options, name: &str) -> Value {
    // One answer is a matter of microseconds; nothing is lost where there is none: statuses say what is wrong.
    let mut webhook = json!({
        "name": "validate.gateway.envoyproxy.io", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "failurePolicy": "Ignore", "timeoutSeconds": 5, "rules": rules(),
        "clientConfig": {"service": {
            "name": NAME, "namespace": options.namespace, "port": WEBHOOK.number, "path": admission::PATH}},
    });
    if !options.watched.is_empty() {
        webhook["namespaceSelector"] = json!({"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": options.watched}]});
    }
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": cluster_meta(name), "webhooks": [webhook]})
}

/// All kinds that are written for us, in the versions that we read.
fn rules() -> Vec<Value> {
    let rows = KINDS.iter().filter(|row| [api::gateway::GROUP, api::ext::GROUP].contains(&row.group));
    rows.map(|row| {
        json!({"apiGroups": [row.group], "apiVersions": row.versions, "resources": [row.plural],
            "operations": ["CREATE", "UPDATE"], "scope": "*"})
    })
    .collect()
}
