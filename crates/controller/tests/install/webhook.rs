use std::fs;

use anyhow::{Context as _, Result};
use controller::install::{Options, webhook};
use serde_json::{Value, json};
use testbed::{PATIENCE, wait::wait_for};

use super::site::{Site, list};

fn backend(port: u32) -> Value {
    json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend", "metadata": {"name": "b"},
        "spec": {"endpoints": [{"ip": {"address": "10.0.0.1", "port": port}}]}})
}

#[tokio::test]
async fn the_webhook_refuses_what_would_not_be_read() -> Result<()> {
    let site = Site::install(Options::default()).await?;
    let machine = format!("{}.0.1", site.cluster.net());
    site.certgen(&["--name", &machine]).await?;
    let mut served = site.serve().await?;
    served.ready().await?;

    // There are no pods behind the Service here: the API server is sent to this machine instead.
    let mut objects = webhook(&site.options);
    let url = format!("https://{machine}:{}/validate", served.port("webhook").await?);
    objects[0]["webhooks"][0]["clientConfig"] = json!({"url": url});
    site.cluster.apply(&list(&objects)).await?;
    let told = site.certgen(&["--name", &machine, "--webhook", "envoy-gateway.envoy-gateway-system"]).await?;
    assert!(told.ends_with("trusts the authority\n"), "{told}");

    // As in a cluster with older definitions: the schema has nothing against it.
    let patch = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
        "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}]);
    let definition = "backends.gateway.envoyproxy.io";
    site.cluster.kubectl(&["patch", "crd", definition, "--type=json", "--patch", &patch.to_string()]).await?;
    let file = site.dir.path().join("backend.json");
    fs::write(&file, backend(70000).to_string())?;
    let file = file.display().to_string();
    let refused = async || {
        let tried = site.cluster.kubectl(&["create", "--dry-run=server", "--filename", &file]).await;
        Some(tried.err()?.to_string()).filter(|words| words.contains("admission webhook"))
    };
    let words = wait_for("the webhook to refuse", PATIENCE, refused).await.context("it is allowed")?;
    assert!(words.contains("denied the request: Backend default/b: spec.endpoints[0].ip.port: "), "{words}");

    site.cluster.apply(&backend(80).to_string()).await
}
