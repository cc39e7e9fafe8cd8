//! The controllers that are measured, and how each comes into a cluster.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;
use testbed::cluster::{Channel, Handle, Image};
use testbed::tools::{Program, kubernetes};

use super::{manifests, peer};
use crate::cluster::{self, own_images, own_programs};
use crate::install;

/// Where both run.
pub(super) const NAMESPACE: &str = "envoy-gateway-system";
/// The Deployment of both.
const DEPLOYMENT: &str = "deployment/envoy-gateway";

/// A controller, built.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    /// Its own images, and the backend's.
    pub(super) images: Vec<Image>,
    /// The backend's image.
    pub(super) echo: String,
    /// Our program; none is the peer.
    portcullis: Option<PathBuf>,
}

impl Contender {
    /// Ours.
    pub(super) fn portcullis() -> Result<Self> {
        let programs = own_programs("release")?;
        let images = own_images(&programs);
        let echo = images[1].name().to_owned();
        Ok(Self { name: "Portcullis".to_owned(), images, echo, portcullis: Some(programs[0].clone()) })
    }

    /// The one beside it.
    pub(super) fn envoy_gateway(ours: &Self) -> Result<Self> {
        let image = Image::of(peer::IMAGE, kubernetes(Program::EnvoyGateway)?).user("65532:65532");
        let images = vec![image, ours.images[1].clone()];
        let name = format!("Envoy Gateway {}", peer::version()?);
        Ok(Self { name, images, echo: ours.echo.clone(), portcullis: None })
    }

    /// Installs it with resource definitions and the ground, and waits until the Gateway is served.
    pub(super) async fn deploy(&self, cluster: &Handle) -> Result<()> {
        cluster.install_gateway_api(Channel::Standard).await?;
        let own = match &self.portcullis {
            Some(program) => install::manifests(program, &["--image", cluster::IMAGE])?,
            None => {
                peer::install_definitions(cluster).await?;
                list(&peer::objects())
            }
        };
        cluster.apply(&own).await?;
        cluster.kubectl(&["-n", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s"]).await?;
        cluster.apply(&list(&manifests::ground(&self.echo))).await?;
        let available = ["-n", manifests::NAMESPACE, "--for=condition=Available", "deployment", "--all"];
        cluster.wait(&available).await?;
        let gateway = format!("gateway/{}", manifests::NAME);
        cluster.wait(&["-n", manifests::NAMESPACE, "--for=condition=Programmed", &gateway]).await
    }
}

fn list(objects: &[serde_json::Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}
