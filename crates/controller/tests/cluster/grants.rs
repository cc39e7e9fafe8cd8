//! What is in another namespace is served as long as a grant is there, and no longer. That each field that refers to another
//! namespace asks for a grant is tested in `tests/kube/grants.rs`.

use std::{net::IpAddr, time::Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    installed::{CONTROLLER, QUICKSTART, Site, get},
    world::{list, route},
};

const HOST: &str = "across.example.com";

/// A grant for routes of a kind in a namespace to refer to a Service of a name.
fn grant(kind: &str, from: &str, to: &str) -> Value {
    let from = json!([{"group": "gateway.networking.k8s.io", "kind": kind, "namespace": from}]);
    json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
        "metadata": {"name": "across", "namespace": "other"},
        "spec": {"from": from, "to": [{"group": "", "kind": "Service", "name": to}]}})
}

/// The quickstart's application in another namespace, and a route to it.
fn objects() -> Result<Vec<Value>> {
    let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})];
    for document in QUICKSTART.split("\n---\n") {
        let mut object: Value = serde_saphyr::from_str(document)?;
        if ["Service", "Deployment"].iter().any(|kind| object["kind"] == *kind) {
            object["metadata"]["namespace"] = json!("other");
            objects.push(object);
        }
    }
    let mut across = route("across");
    across["spec"]["rules"][0]["backendRefs"][0]["namespace"] = json!("other");
    objects.push(across);
    Ok(objects)
}

impl Site {
    /// Takes the grant away by a change, and says how long the other namespace is served still.
    async fn revoke(&self, address: IpAddr, what: &str, grant: Option<&Value>) -> Result<()> {
        let began = Instant::now();
        match grant {
            Some(grant) => self.cluster.apply(&grant.to_string()).await?,
            None => drop(self.cluster.kubectl(&["--namespace", "other", "delete", "referencegrant", "across"]).await?),
        }
        self.answers(address, HOST, 500).await?;
        println!("{what}: nothing is served any more after {:?}, kubectl included", began.elapsed());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_namespace_is_served_as_long_as_it_grants_that() -> Result<()> {
    let (site, address) = Site::serving().await?;
    site.cluster.apply(&list(&objects()?)).await?;
    let available = ["--namespace", "other", "--for=condition=Available", "deployment/backend"];
    site.cluster.wait(&available).await?;
    site.answers(address, HOST, 500).await?;
    for (number, wrong) in [
        grant("GRPCRoute", "default", "backend"),
        grant("HTTPRoute", "other", "backend"),
        grant("HTTPRoute", "default", "else"),
    ]
    .iter()
    .enumerate()
    {
        site.cluster.apply(&wrong.to_string()).await?;
        // What comes after it is in force: so is the grant.
        site.takes_effect(address, &format!("after-wrong-{number}")).await?;
        assert_eq!(get(address, HOST).send().await?.status, 500, "{wrong}");
    }
    let right = grant("HTTPRoute", "default", "backend");
    site.cluster.apply(&right.to_string()).await?;
    site.answers(address, HOST, 200).await?;
    site.revoke(address, "the grant is deleted", None).await?;
    site.cluster.apply(&right.to_string()).await?;
    site.answers(address, HOST, 200).await?;
    site.revoke(address, "the grant is for another Service", Some(&grant("HTTPRoute", "default", "else"))).await?;
    // Nor does a controller that starts anew serve it, not for a moment.
    let load = testbed::load::Load::start(&get(address, HOST));
    site.kubectl(&["rollout", "restart", CONTROLLER]).await?;
    site.rolled_out(CONTROLLER).await?;
    site.takes_effect(address, "last").await?;
    let outcome = load.stop().await?;
    assert_eq!(outcome.asked, outcome.failed.len(), "{outcome}");
    println!("leaks 0, of {} requests while the controller is started anew", outcome.asked);
    site.cluster.stop().await
}
