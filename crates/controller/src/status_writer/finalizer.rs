//! The finalizer of a GatewayClass: it cannot go while a Gateway uses it, as the Gateway API asks for.

use std::{sync::Arc, time::Duration};

use api::{Kind, Resources, Stored, gateway::GatewayClass};
use kube::{
    Client,
    core::{
        Request,
        params::{Patch, PatchParams},
    },
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    api_server::{Backoff, FIELD_MANAGER, code, path, words},
    pipeline::Output,
    source::kube::{Record, Records},
};

/// The finalizer that the Gateway API names.
const FINALIZER: &str = "gateway-exists-finalizer.gateway.networking.k8s.io";
/// How long the server may take.
const TIME: Duration = Duration::from_secs(10);

/// Keeps the finalizers of our classes right while `leads` is true. Returns when the output comes to an end.
pub async fn keep(
    client: Client,
    controller: String,
    records: Records,
    mut output: watch::Receiver<Option<Arc<Output>>>,
    mut leads: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::default();
    loop {
        let now = output.borrow_and_update().clone();
        let leader = *leads.borrow_and_update();
        let mut failed = false;
        if let Some(now) = now.filter(|_| leader) {
            for (class, finalizers) in changes(&now.resources, &controller) {
                failed |= !write(&client, &records, &class, finalizers).await;
            }
        }
        let wait = failed.then(|| backoff.wait());
        if !failed {
            backoff.reset();
        }
        tokio::select! {
            changed = output.changed() => if changed.is_err() { return },
            changed = leads.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

/// The classes of ours whose finalizers are not as they have to be, and how they have to be.
fn changes(resources: &Resources, controller: &str) -> Vec<(Arc<GatewayClass>, Vec<String>)> {
    let ours = resources.gateway_classes.iter().filter(|class| class.spec.controller_name == controller);
    ours.filter_map(|class| {
        let mut finalizers = class.metadata.finalizers.clone().unwrap_or_default();
        let has = finalizers.iter().any(|finalizer| finalizer == FINALIZER);
        let used = resources.gateways.iter().any(|gateway| gateway.spec.gateway_class_name == class.name());
        match (used, has) {
            (true, false) if class.metadata.deletion_timestamp.is_none() => finalizers.push(FINALIZER.to_owned()),
            (false, true) => finalizers.retain(|finalizer| finalizer != FINALIZER),
            _ => return None,
        }
        Some((Arc::clone(class), finalizers))
    })
    .collect()
}

/// Whether it was written. A conflict is no failure to speak of: the newer state comes with the next output, or it's
/// tried again.
async fn write(client: &Client, records: &Records, class: &GatewayClass, finalizers: Vec<String>) -> bool {
    let reference = class.reference();
    let Some(record) = records.get(&reference) else { return true };
    match tokio::time::timeout(TIME, send(client, &record, class, finalizers)).await {
        Ok(Ok(object)) => {
            records.wrote(&reference, &record.resource_version, &object);
            true
        }
        Ok(Err(error)) => {
            if code(&error) != Some(409) {
                tracing::warn!(
                    component = "provider",
                    error = words(&error),
                    "the finalizer of {reference} cannot be written"
                );
            }
            code(&error) == Some(404)
        }
        Err(_) => false,
    }
}

async fn send(
    client: &Client,
    record: &Record,
    class: &GatewayClass,
    finalizers: Vec<String>,
) -> Result<Value, kube::Error> {
    let row = Kind::find(GatewayClass::GROUP, GatewayClass::KIND).expect("it's a row of the table");
    let body = json!({"metadata": {"resourceVersion": record.resource_version, "finalizers": finalizers}});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let request = Request::new(path(row, record.version, None)).patch(class.name(), &parameters, &Patch::Merge(body));
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(finalizers: &[&str], used: bool) -> Resources {
        let mut resources = Resources::default();
        let mut insert = |document: Value| resources.insert(api::parse(document).unwrap().object);
        insert(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": "eg", "finalizers": finalizers}, "spec": {"controllerName": "a/b"}}));
        if used {
            insert(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g"},
                "spec": {"gatewayClassName": "eg",
                         "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}}));
        }
        resources
    }

    fn wanted(finalizers: &[&str], used: bool) -> Option<Vec<String>> {
        changes(&resources(finalizers, used), "a/b").pop().map(|(_, finalizers)| finalizers)
    }

    #[test]
    fn a_used_class_has_the_finalizer_and_an_unused_one_has_not() {
        assert_eq!(wanted(&["x"], true), Some(vec!["x".to_owned(), FINALIZER.to_owned()]));
        assert_eq!(wanted(&[FINALIZER], true), None);
        assert_eq!(wanted(&["x", FINALIZER], false), Some(vec!["x".to_owned()]));
        assert_eq!(wanted(&[], false), None);
        assert!(changes(&resources(&[], true), "c/d").is_empty());
    }
}
