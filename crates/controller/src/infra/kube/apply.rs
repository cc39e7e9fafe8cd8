//! Writing one object.

use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    core::DynamicObject,
};
use serde_json::{Value, json};

use super::{
    Kind,
    live::{Key, Seen},
    render::Object,
};

/// Whose fields ours are.
pub(super) const MANAGER: &str = "portcullis";
/// Whose the number of replicas is between us and who scales: without an owner it would be gone.
const HANDOVER: &str = "portcullis-handover";

/// Applies an object: our fields are as we say, others' stay.
pub(super) async fn apply(client: &Client, object: &Object, live: Option<&Seen>) -> Result<Seen, String> {
    let api = api(client, object.kind, &object.namespace);
    let failed = |error: kube::Error| words(&object.to_string(), &error);
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
pub(super) async fn delete(client: &Client, (kind, namespace, name): &Key, seen: &DynamicObject) -> Result<(), String> {
    let same = Preconditions { uid: seen.metadata.uid.clone(), resource_version: None };
    // What belongs to it goes after it: pods have time to end.
    let how = DeleteParams { preconditions: Some(same), ..DeleteParams::background() };
    match api(client, *kind, namespace).delete(name, &how).await {
        Ok(_) => Ok(()),
        // Gone already, or another one by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(words(&format!("{kind} {namespace}/{name}"), &error)),
    }
}

fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}

/// What went wrong, and who can mend it.
fn words(object: &str, error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else { return format!("{object}: {error}; it is tried again") };
    let mend = match status.code {
        403 if status.message.contains("being terminated") => "",
        403 => "; the controller's role does not allow it, or a policy of the cluster forbids it",
        422 if status.message.contains("immutable") => "; delete the object and it is made anew",
        422 => "; mend the EnvoyProxy or the Gateway that asks for it",
        404 => "; the namespace is missing",
        _ => "; it is tried again",
    };
    format!("{object}: {}{mend}", status.message)
}
