//! Writing one object.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
    core::DynamicObject,
};
use serde_json::{Value, json};

use super::{
    Kind,
    live::{Key, Seen},
    render::{OWNERSHIP, Object},
};
use crate::api_server::FIELD_MANAGER;

/// Whose fields ours are.
pub(super) const MANAGER: &str = FIELD_MANAGER;
/// Whose the number of replicas is between us and who scales: without an owner it would be gone.
const HANDOVER: &str = "portcullis-handover";

/// Why an object could not be written.
#[derive(Debug)]
pub(super) struct Failed {
    /// What went wrong, and who can mend it.
    pub words: String,
    /// Whether it passes by itself, soon: the API server is away or busy.
    pub passes: bool,
}

/// Applies an object: our fields are as we say, others' stay.
pub(super) async fn apply(client: &Client, object: &Object, live: Option<&Seen>) -> Result<Seen, Failed> {
    let api = api(client, object.kind, &object.namespace);
    let failed = |error: kube::Error| failed(&object.to_string(), &error);
    let labels = match live {
        Some(live) => live.object.metadata.labels.clone(),
        None => labels_there(&api, &object.name).await.map_err(failed)?,
    };
    if labels.is_some_and(|labels| !belongs(&labels, object)) {
        let words = format!(
            "{object} is there already and belongs to somebody else; give the Gateway another name, or its EnvoyProxy \
             another `name` for it; where it is the rate limit service's, move the other one"
        );
        return Err(Failed { words, passes: false });
    }
    if let Some(replicas) = handed_over(object, live) {
        let number = json!({"apiVersion": object.value["apiVersion"], "kind": object.value["kind"],
            "metadata": {"name": object.name}, "spec": {"replicas": replicas}});
        let by = PatchParams::apply(HANDOVER).force();
        api.patch(&object.name, &by, &Patch::Apply(&number)).await.map_err(failed)?;
    }
    if let Some(change) = without_rolling_update(object, live) {
        let by = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        api.patch(&object.name, &by, &Patch::Merge(&change)).await.map_err(failed)?;
    }
    let by = PatchParams::apply(MANAGER).force();
    let written = api.patch(&object.name, &by, &Patch::Apply(&object.value)).await.map_err(failed)?;
    Ok(Seen::new(written, MANAGER))
}

/// The labels of an object that is there but not known as ours; what others took from those that we had put there counts
/// as it was. `None` when there is no such object.
async fn labels_there(api: &Api<DynamicObject>, name: &str) -> Result<Option<BTreeMap<String, String>>, kube::Error> {
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let Some(there) = api.list_metadata(&named).await?.items.into_iter().next() else { return Ok(None) };
    let is_ours = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(MANAGER);
    let ours = there.metadata.managed_fields.iter().flatten().any(is_ours);
    let labels = there.metadata.labels.unwrap_or_default();
    let none_of_anybody = !OWNERSHIP.iter().any(|key| labels.contains_key(*key));
    Ok((!ours || !none_of_anybody).then_some(labels))
}

/// Whether the labels of what is there are those of the fleet. An apply takes what is there over, whosever it is: a Service of
/// the Gateway's name, or one that a `name` in an EnvoyProxy points at.
fn belongs(there: &BTreeMap<String, String>, object: &Object) -> bool {
    let wanted = &object.value["metadata"]["labels"];
    OWNERSHIP.iter().all(|key| there.get(*key).map(String::as_str) == wanted[*key].as_str())
}

/// The number of replicas that we have said and say no more, as somebody else scales.
fn handed_over(object: &Object, live: Option<&Seen>) -> Option<Value> {
    let live = live.filter(|live| object.kind == Kind::Deployment && live.owns_replicas)?;
    let says = object.value.pointer("/spec/replicas").is_some();
    (!says).then(|| live.object.data.pointer("/spec/replicas").cloned()).flatten()
}

/// Another strategy than RollingUpdate does not bear that one's settings. The API server has filled them in by itself, so
/// an apply does not take them out.
fn without_rolling_update(object: &Object, live: Option<&Seen>) -> Option<Value> {
    ["strategy", "updateStrategy"].into_iter().find_map(|field| {
        let wanted = object.value.pointer(&format!("/spec/{field}/type"))?;
        let left = live?.object.data.pointer(&format!("/spec/{field}/rollingUpdate")).is_some_and(Value::is_object);
        let change = json!({"spec": {field: {"type": wanted, "rollingUpdate": null}}});
        (left && wanted != "RollingUpdate").then_some(change)
    })
}

/// Deletes an object, if it is still the one that was seen.
pub(super) async fn delete(client: &Client, (kind, namespace, name): &Key, seen: &DynamicObject) -> Result<(), Failed> {
    let same = Preconditions { uid: seen.metadata.uid.clone(), resource_version: None };
    // What belongs to it goes after it: pods have time to end.
    let how = DeleteParams { preconditions: Some(same), ..DeleteParams::background() };
    match api(client, *kind, namespace).delete(name, &how).await {
        Ok(_) => Ok(()),
        // Gone already, or another one by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(failed(&format!("{kind} {namespace}/{name}"), &error)),
    }
}

fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}

fn failed(object: &str, error: &kube::Error) -> Failed {
    let kube::Error::Api(status) = error else {
        return Failed { words: format!("{object}: {error}; it is tried again"), passes: true };
    };
    let mend = match status.code {
        403 if status.message.contains("being terminated") => "",
        403 => "; the controller's role does not allow it, or a policy of the cluster forbids it",
        422 if status.message.contains("immutable") => "; delete the object and it is made anew",
        422 => "; mend the EnvoyProxy, the Gateway or the controller's configuration that asks for it",
        404 => "; the namespace is missing",
        _ => "; it is tried again",
    };
    Failed { words: format!("{object}: {}{mend}", status.message), passes: status.code == 429 || status.code >= 500 }
}
