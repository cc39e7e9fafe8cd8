//! The controller in the cluster.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::Value;
use testbed::cluster::{Channel, Handle, Image};

use crate::{cluster, install};

/// The class that the tests use.
pub(super) const CLASS: &str = "eg";
const NAMESPACE: &str = "envoy-gateway-system";

/// What is built before the cluster starts.
pub(super) struct Built {
    images: Vec<Image>,
    portcullis: PathBuf,
}

/// Builds the controller.
pub(super) fn build(profile: &str) -> Result<Built> {
    let programs = cluster::own_programs(profile)?;
    Ok(Built { images: cluster::own_images(&programs), portcullis: programs[0].clone() })
}

/// Installs resource definitions and the controller, anew where it is there, and waits until it has taken the class.
pub(super) async fn deploy(bed: &Handle, channel: Channel, built: &Built) -> Result<()> {
    check(bed, channel).await?;
    for image in &built.images {
        bed.import(image).await?;
    }
    bed.install_gateway_api(channel).await?;
    bed.apply(&manifests(&built.portcullis)?).await?;
    // An image of the same name is another one.
    bed.kubectl(&["-n", NAMESPACE, "rollout", "restart", "deployment/envoy-gateway"]).await?;
    bed.kubectl(&["-n", NAMESPACE, "rollout", "status", "deployment/envoy-gateway", "--timeout=120s"]).await?;
    bed.wait(&["--for=condition=Accepted", &format!("gatewayclass/{CLASS}")]).await?;
    eprintln!("  the controller is deployed");
    Ok(())
}

/// The suite refuses a cluster that has definitions of both channels.
async fn check(bed: &Handle, channel: Channel) -> Result<()> {
    let annotation = r"jsonpath={.metadata.annotations.gateway\.networking\.k8s\.io/channel}";
    let crd = ["get", "crd", "gateways.gateway.networking.k8s.io", "-o", annotation];
    // Where there is none, none is wrong.
    let Ok(there) = bed.kubectl(&crd).await else { return Ok(()) };
    if there != format!("{channel:?}").to_lowercase() {
        bail!("cluster {} has resource definitions of the {there} channel; end it or give another --name", bed.name());
    }
    Ok(())
}

/// What the controller says it can do.
pub(super) async fn features(bed: &Handle) -> Result<Vec<String>> {
    let class: Value = serde_json::from_str(&bed.kubectl(&["get", "gatewayclass", CLASS, "-o", "json"]).await?)?;
    let listed = class["status"]["supportedFeatures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = listed.iter().filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect();
    if names.is_empty() {
        bail!("the class {CLASS} has no supportedFeatures in its status");
    }
    Ok(names)
}

/// What installs the controller. A test looks for a Gateway's labels on what is made for it, and it looks in the Gateway's
/// namespace.
fn manifests(portcullis: &Path) -> Result<String> {
    install::manifests(portcullis, &["--gateway-namespace", "--image", cluster::IMAGE])
}
