//! Certificates that cert-manager makes and renews, instead of certgen: as the page says.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{
    process::{Process, Spec},
    tools::{cert_manager, cert_manager_definitions},
    wait::wait_for,
};

use super::{
    installed::{NAMESPACE, Site, TAG},
    world::{CONTROLLERS, ENVOYS},
};

const PAGE: &str = include_str!("../../../../docs/kubernetes.md");
/// The kubelet brings a changed Secret into a pod within its period of a minute and what its cache adds.
const MOUNTED: Duration = Duration::from_secs(150);

/// The manifests that the page shows.
fn shown() -> Result<&'static str> {
    let section = PAGE.split("### cert-manager").nth(1).context("the page has the section")?;
    let block = section.split("```yaml\n").nth(1).context("it shows manifests")?;
    block.split("```").next().context("they end")
}

impl Site {
    /// Starts cert-manager beside the cluster, with all rights, and has it make the certificates.
    async fn with_cert_manager(&self) -> Result<Process> {
        let get = || anyhow::Ok((cert_manager()?, cert_manager_definitions()?));
        let (program, definitions) = tokio::task::spawn_blocking(get).await??;
        self.cluster.apply(&definitions).await?;
        self.cluster.wait(&["--for=condition=Established", "crd", "--all"]).await?;
        let spec = Spec::new(program).arg("--kubeconfig").arg(self.cluster.kubeconfig());
        let args = ["--leader-elect=false", "--metrics-listen-address=127.0.0.1:0", "--v=2"];
        let process = spec.named("cert-manager").args(args).start()?;
        self.cluster.kubectl(&["create", "namespace", NAMESPACE]).await?;
        self.cluster.apply(shown()?).await?;
        let ready = ["wait", "--for=condition=Ready", "--timeout=120s", "certificates", "--all"];
        self.kubectl(&ready).await.with_context(|| process.tail())?;
        Ok(process)
    }

    async fn secret(&self, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&["get", "secret", name, "--output=json"]).await?)?)
    }

    /// Asks for a new certificate before it is due, as `cmctl renew` does.
    async fn renew(&self, certificate: &str) -> Result<()> {
        let condition =
            json!({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "asked for"});
        let patch = json!({"status": {"conditions": [condition]}}).to_string();
        let args = ["patch", "certificate", certificate, "--subresource=status", "--type=merge", "--patch", &patch];
        self.kubectl(&args).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_cert_manager_are_used_left_alone_and_taken_over_when_renewed() -> Result<()> {
    let site = Site::start().await?;
    let manager = site.with_cert_manager().await?;
    let names = ["envoy-gateway-ca", "envoy-gateway", "envoy-rate-limit"];
    let mut made = Vec::new();
    for name in names {
        made.push(site.secret(name).await?["data"].clone());
    }

    site.install(TAG).await?;
    site.kubectl(&["wait", "--for=condition=Complete", "--timeout=60s", "job", "--all"]).await?;
    let address = site.quickstart().await?;
    for (name, made) in names.iter().zip(&made) {
        let secret = site.secret(name).await?;
        assert_eq!(&secret["data"], made, "{name} is as it was made");
        assert_eq!(secret["metadata"]["annotations"]["cert-manager.io/certificate-name"], **name);
    }

    site.renew("envoy-gateway").await?;
    let renewed = async || {
        let secret = site.secret("envoy-gateway").await.ok()?;
        (secret["data"]["tls.crt"] != made[1]["tls.crt"]).then_some(())
    };
    wait_for("another certificate", MOUNTED, renewed).await.with_context(|| manager.tail())?;
    let told = async || site.logs(CONTROLLERS).await.is_ok_and(|log| log.contains("reloaded")).then_some(());
    wait_for("the controller to take it over", MOUNTED, told).await?;

    // Envoys that come now meet the new certificate, and trust it.
    let before = site.ready_pods(ENVOYS).await?;
    let envoys: Vec<&str> = before.iter().map(String::as_str).collect();
    site.kubectl(&[&["delete", "pod", "--wait=false"][..], &envoys].concat()).await?;
    let another = async || site.ready_pods(ENVOYS).await.ok()?.difference(&before).next().map(drop);
    wait_for("another Envoy to be ready", MOUNTED, another).await?;
    site.takes_effect(address, "after").await
}
