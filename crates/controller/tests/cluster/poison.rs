//! An object of each kind that is wrong, beside a thousand routes that are good: it says why, and harms nobody else.

use std::time::Instant;

use anyhow::Result;
use serde_json::Value;
use testbed::{PATIENCE, wait::wait_for};

use super::{
    installed::{Site, get},
    world::{list, loaded, route},
};

const GOOD: usize = 1000;
/// How many objects are written at once.
const AT_ONCE: usize = 250;

/// Each behind a line that says whose status tells of it, and in what words.
const POISON: &str = include_str!("poison.yaml");

/// The one kind whose definition an installation does not bring; it comes while the controller runs.
const IMPORTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: serviceimports.multicluster.x-k8s.io
  annotations: {api-approved.kubernetes.io: 'unapproved, for a test'}
spec:
  group: multicluster.x-k8s.io
  scope: Namespaced
  names: {kind: ServiceImport, plural: serviceimports, singular: serviceimport}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// What is wrong, and where it is told.
struct Poison {
    object: Value,
    /// Kind and name of who tells, and a part of the words; nothing for what nobody refers to.
    told: Option<(String, String, String)>,
}

impl Poison {
    fn all() -> Vec<Self> {
        POISON.split("\n---\n").map(Self::read).collect()
    }

    fn read(document: &str) -> Self {
        let object: Value = serde_saphyr::from_str(document).expect("it is YAML");
        let line = document.lines().find_map(|line| line.strip_prefix("# told by "));
        let told = line.map(|line| {
            let (who, words) = line.split_once(": ").expect("it says who tells, and what");
            let (kind, name) = who.split_once(' ').expect("it says kind and name");
            (kind.to_owned(), name.to_owned(), words.to_owned())
        });
        Self { object, told }
    }
}

/// Whether a status says no in these words.
fn says(object: &Value, words: &str) -> bool {
    match object {
        Value::Object(fields) => {
            let is_no = fields.get("status") == Some(&Value::from("False"));
            let message = fields.get("message").and_then(Value::as_str).unwrap_or_default();
            is_no && message.contains(words) || fields.values().any(|field| says(field, words))
        }
        Value::Array(items) => items.iter().any(|item| says(item, words)),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_object_of_each_kind_harms_none_of_a_thousand_good_routes() -> Result<()> {
    let (site, address) = Site::serving().await?;
    let began = Instant::now();
    let routes: Vec<Value> = (0..GOOD).map(|number| route(&format!("good-{number}"))).collect();
    for some in routes.chunks(AT_ONCE) {
        site.cluster.apply(&list(some)).await?;
    }
    site.answers(address, &format!("good-{}.example.com", GOOD - 1), 200).await?;
    println!("{GOOD} routes are served after {:?}", began.elapsed());
    site.cluster.apply(IMPORTS).await?;
    site.cluster.wait(&["--for=condition=Established", "crd", "serviceimports.multicluster.x-k8s.io"]).await?;
    let load = loaded(address);
    let (poison, mut kinds) = (Poison::all(), std::collections::BTreeSet::new());
    for (number, one) in poison.iter().enumerate() {
        let began = Instant::now();
        let kind = one.object["kind"].as_str().unwrap_or_default().to_owned();
        site.cluster.apply(&one.object.to_string()).await?;
        if let Some((teller, name, words)) = &one.told {
            site.until(&teller.to_lowercase(), name, &format!("to say {words:?}"), |object| {
                says(&object["status"], words)
            })
            .await?;
        }
        // What is good and comes after it is served.
        site.takes_effect(address, &format!("after-{number}")).await?;
        println!("{kind}: {:?}", began.elapsed());
        kinds.insert(kind);
    }
    let missing: Vec<_> = api::KINDS.iter().map(|row| row.kind).filter(|kind| !kinds.contains(*kind)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "kinds without a bad object");

    let mut harmed = Vec::new();
    for number in 0..GOOD {
        let host = format!("good-{number}.example.com");
        if !get(address, &host).send().await.is_ok_and(|answer| answer.status == 200) {
            harmed.push(host);
        }
    }
    println!(
        "{} bad objects of {} kinds beside {GOOD} good routes: harmed {}",
        poison.len(),
        kinds.len(),
        harmed.len()
    );
    assert_eq!(harmed, Vec::<String>::new());
    println!("poison: {}", load.stop_unharmed().await?);
    // One that is mended works.
    site.cluster.apply(&route("refused").to_string()).await?;
    let served = async || {
        get(address, "refused.example.com").send().await.is_ok_and(|answer| answer.status == 200).then_some(())
    };
    wait_for("the mended route", PATIENCE, served).await?;
    site.cluster.stop().await
}
