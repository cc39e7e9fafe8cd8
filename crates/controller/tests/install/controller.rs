use std::fs;

use anyhow::{Context as _, Result};
use controller::install::Options;
use serde_json::{Value, json};
use testbed::{
    PATIENCE,
    client::Request,
    process::{Process, Spec},
    wait::wait_for,
};

use super::site::{PORTCULLIS, Site};

/// The controller, running beside the cluster as it would run in it.
pub(crate) struct Served {
    process: Process,
}

impl Site {
    /// Starts the controller with the rights, the certificates and the configuration of the installation, on free ports.
    pub(crate) async fn serve(&self) -> Result<Served> {
        let mut kubernetes =
            json!({"listen": {"health": "127.0.0.1:0", "metrics": "127.0.0.1:0", "webhook": "0.0.0.0:0"}});
        if !self.options.watched.is_empty() {
            kubernetes["watch"] = json!({"type": "Namespaces", "namespaces": self.options.watched});
        }
        let config = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway",
            "provider": {"type": "Kubernetes", "kubernetes": kubernetes},
            "admin": {"address": {"host": "127.0.0.1", "port": 0}}});
        let file = self.dir.path().join("envoy-gateway.yaml");
        fs::write(&file, config.to_string())?;
        let spec = Spec::new(PORTCULLIS).args(["server", "--xds-address", "127.0.0.1:0", "--config-path"]).arg(file);
        let spec = spec.arg("--certs").arg(self.mounted("envoy-gateway").await?);
        let spec = spec.arg("--authority").arg(self.mounted("envoy-gateway-ca").await?);
        let spec = spec.env("KUBECONFIG", self.kubeconfig("envoy-gateway").await?).env("TMPDIR", self.dir.path());
        let process = spec.env("ENVOY_GATEWAY_NAMESPACE", &self.options.namespace).start()?;
        Ok(Served { process })
    }

    /// What is there, as JSON.
    async fn get(&self, args: &[&str]) -> Result<Value> {
        let args: Vec<&str> = ["get", "--output=json"].iter().chain(args).copied().collect();
        Ok(serde_json::from_str(&self.cluster.kubectl(&args).await?)?)
    }
}

impl Served {
    /// The port on which something is served.
    pub(crate) async fn port(&mut self, what: &str) -> Result<String> {
        let words = format!("what=\"{what}\" address=");
        let line = self.process.wait_for_line(PATIENCE, |line| line.contains(&words)).await?;
        Ok(line.rsplit(':').next().unwrap_or_default().to_owned())
    }

    /// Waits until it's ready.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.port("health").await?);
        let ready = async || (Request::get(&url).send().await.ok()?.status == 200).then_some(());
        wait_for("the controller to be ready", PATIENCE, ready).await.with_context(|| self.process.log())
    }
}

#[tokio::test]
async fn an_installed_controller_can_do_its_work() -> Result<()> {
    let site = Site::install(Options::default()).await?;
    let first = site.certgen(&[]).await?;
    let secrets = ["envoy-gateway-ca", "envoy-gateway", "envoy-rate-limit", "portcullis-oidc"];
    assert_eq!(first, secrets.map(|name| format!("the Secret {name} is made\n")).concat());
    let second = site.certgen(&[]).await?;
    assert_eq!(second, first.replace("is made", "stays: it is valid"));
    let renewed = site.certgen(&["--name", "gateway.example"]).await?;
    assert!(renewed.contains("envoy-gateway-ca stays") && renewed.contains("envoy-gateway is renewed"), "{renewed}");

    let mut served = site.serve().await?;
    served.ready().await?;
    let health = served.port("health").await?;
    let status = async |port: &str, path: &str| -> Result<u16> {
        Ok(Request::get(&format!("http://127.0.0.1:{port}{path}")).send().await?.status.as_u16())
    };
    assert_eq!(status(&health, "/livez").await?, 200);
    assert_eq!(status(&health, "/metrics").await?, 404);
    let metrics = served.port("metrics").await?;
    assert_eq!(status(&metrics, "/metrics").await?, 200);
    assert_eq!(status(&metrics, "/config").await?, 404);

    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "web"},
        "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}});
    site.cluster.apply(&gateway.to_string()).await?;
    site.cluster.wait(&["--for=condition=Accepted", "gatewayclass/eg", "gateway/web"]).await?;
    let owned = ["deployments,services,secrets", "--namespace", "envoy-gateway-system"];
    let owned = [&owned[..], &["--selector", "gateway.envoyproxy.io/owning-gateway-name=web"]].concat();
    let all_are_there = async || {
        let count = site.get(&owned).await.ok()?["items"].as_array()?.len();
        (count == 3).then_some(())
    };
    wait_for("the Envoys of the Gateway", PATIENCE, all_are_there).await.with_context(|| served.process.log())?;
    let class = site.get(&["gatewayclass", "eg"]).await?;
    assert_eq!(class["metadata"]["finalizers"][0], "gateway-exists-finalizer.gateway.networking.k8s.io");
    assert!(!served.process.log().contains("forbidden"), "{}", served.process.log());
    Ok(())
}
