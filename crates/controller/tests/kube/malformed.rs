//! Objects that a schema would have refused: each kind's harms itself alone, and its last good form stays.

use serde_json::{Value, json};

use super::{
    admin::Admin,
    changes::{GROUND, Life, lives},
    manifests::{gateway, http, route},
    room::{Controller, controller_name, sends},
};

/// The name of the namespace, class and controller in [`super::faults`].
pub(super) const NAME: &str = "poisoned";
const OTHER: &str = "poisoned-other";

/// The object with a number in place of the first field of its spec, and how what is wrong with it is told to begin.
fn poison(good: &Value) -> (Value, String) {
    let mut poisoned = good.clone();
    let spec = poisoned["spec"].as_object_mut().expect("it has a spec");
    let (field, value) = spec.iter_mut().next().expect("it has a field");
    *value = json!(7);
    let told = format!("{}: spec.{field}: ", api::parse(good.clone()).expect("it is good").object.reference());
    (poisoned, told)
}

/// Goes through all kinds whose schema the cluster does not check.
pub(super) async fn harm_only_themselves(admin: &Admin, kubeconfig: &std::path::Path, controller: &Controller) {
    let named = |text: &str| text.replace("NS", NAME).replace("OTHER", OTHER);
    for document in named(GROUND).split("\n---\n") {
        admin.apply(&serde_saphyr::from_str(document).expect("it is YAML")).await;
    }
    let lives: Vec<Life> = lives(named).into_iter().filter(|life| life.forms[0].get("spec").is_some()).collect();
    let custom = |life: &&Life| {
        life.forms[0]["apiVersion"]
            .as_str()
            .is_some_and(|version| version.contains("gateway") || version.contains("x-k8s"))
    };
    let lives: Vec<&Life> = lives.iter().filter(custom).collect();
    for life in &lives {
        admin.apply(&life.forms[0]).await;
    }
    for life in &lives {
        controller.until_sent(&life.marks[0], true).await;
    }
    assert_eq!(controller.problems(), Vec::<String>::new());
    let mut wanted = Vec::new();
    for life in &lives {
        let (poisoned, told) = poison(&life.forms[0]);
        admin.apply(&poisoned).await;
        wanted.push(told);
    }
    let is_told = |told: &[String]| wanted.iter().all(|wanted| told.iter().any(|told| told.starts_with(wanted)));
    let told = controller.until_problems("every poisoned object", is_told).await;
    assert_eq!(told.len(), lives.len(), "{told:#?}");
    assert!(
        told.iter().all(
            |told| told.contains("invalid type") && told.ends_with("the last good version, if any, stays in force")
        )
    );
    // What is good and comes later is served, beside all that was.
    admin.apply(&gateway(NAME, "gw2", NAME, http())).await;
    let mut late = route(NAME, "late", "late.example", json!([{"name": "web", "port": 80}]));
    late["spec"]["parentRefs"] = json!([{"name": "gw2"}]);
    admin.apply(&late).await;
    let output = controller.until_sent("late.example", true).await;
    let lost: Vec<_> = lives.iter().filter(|life| !sends(&output, &life.marks[0])).map(|life| life.kind()).collect();
    assert_eq!(lost, Vec::<&str>::new());
    // One that starts now has never seen a good form: it tells the same, and serves what is good.
    let fresh = super::room::of_all(kubeconfig, &controller_name(NAME)).await.expect("it can be configured");
    fresh.until_sent("late.example", true).await;
    fresh.until_problems("every poisoned object", is_told).await;
    // It knows that they are there, so that what they guard is not served as if they were not.
    let known = fresh.until("every poisoned object", |output| output.resources.unreadable.len() == lives.len()).await;
    let unguarded = ["SecurityPolicy", "EnvoyExtensionPolicy"].map(|kind| {
        let stand_in = |reference: &&api::ObjectRef| reference.kind == kind && known.resources.get(reference).is_some();
        known.resources.unreadable.keys().filter(stand_in).count()
    });
    assert_eq!(unguarded, [1, 1], "{:?}", known.resources.unreadable);
    drop(fresh);
    for life in &lives {
        admin.apply(&life.forms[1]).await;
    }
    controller.until_problems("nothing to be wrong", <[String]>::is_empty).await;
    for life in &lives {
        controller.until_sent(&life.marks[1], true).await;
        admin.delete(&life.forms[1]).await;
    }
}
