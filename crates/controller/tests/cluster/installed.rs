//! A real cluster with pods, and an installation in it as a user makes it: by what `portcullis manifests` prints.

use std::{collections::BTreeSet, net::IpAddr, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    PATIENCE,
    client::Request,
    cluster::{Channel, Cluster, Image},
    wait::wait_for,
};

const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");
/// The image of the program under test, without its tag.
const IMAGE: &str = "docker.io/portcullis/portcullis";
/// The tag that is installed.
pub(crate) const TAG: &str = "first";
/// The controller's namespace.
pub(crate) const NAMESPACE: &str = "envoy-gateway-system";
/// What is served first.
pub(crate) const QUICKSTART: &str = include_str!("../../../../examples/kubernetes/quickstart.yaml");
/// The host that it's asked for by.
pub(crate) const HOST: &str = "www.example.com";
/// The controller's Deployment, as kubectl is told.
pub(crate) const CONTROLLER: &str = "deployment/envoy-gateway";

/// A cluster with the Gateway API's definitions, and all of the rest by and by.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
}

/// The program under test as an image.
pub(crate) fn image(tag: &str) -> Image {
    Image::of(&format!("{IMAGE}:{tag}"), PORTCULLIS).user("65532:65532")
}

/// What installs the image with a tag.
pub(crate) fn manifests(tag: &str) -> Result<String> {
    let output = Command::new(PORTCULLIS).args(["manifests", "--image", &format!("{IMAGE}:{tag}")]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

impl Site {
    /// Starts a cluster. Nothing is installed yet.
    pub(crate) async fn start() -> Result<Self> {
        let cluster = Cluster::full().image(image(TAG)).start().await?;
        cluster.install_gateway_api(Channel::Experimental).await?;
        Ok(Self { cluster })
    }

    /// Installs, or upgrades to, the image with a tag, and waits until its controllers are ready.
    pub(crate) async fn install(&self, tag: &str) -> Result<()> {
        self.cluster.apply(&manifests(tag)?).await?;
        self.rolled_out(CONTROLLER).await
    }

    /// Waits until a workload of the controller's namespace is what was last said, and nothing else runs of it.
    pub(crate) async fn rolled_out(&self, what: &str) -> Result<()> {
        self.kubectl(&["rollout", "status", what, "--timeout=120s"]).await.map(drop)
    }

    /// Runs kubectl in the controller's namespace.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[&["--namespace", NAMESPACE], args].concat()).await
    }

    /// Applies the quickstart, and waits until it's served. Gives the address.
    pub(crate) async fn quickstart(&self) -> Result<IpAddr> {
        self.cluster.apply(QUICKSTART).await?;
        self.cluster.wait(&["--for=condition=Programmed", "gateway/eg"]).await?;
        self.cluster.wait(&["--for=condition=Available", "deployment/backend"]).await?;
        let gateway = self.cluster.kubectl(&["get", "gateway", "eg", "--output=json"]).await?;
        let gateway: Value = serde_json::from_str(&gateway)?;
        let address = gateway["status"]["addresses"][0]["value"].as_str().context("it has no address")?.parse()?;
        self.answers(address, HOST, 200).await?;
        Ok(address)
    }

    /// Waits until a request for a host is answered with a status.
    pub(crate) async fn answers(&self, address: IpAddr, host: &str, status: u16) -> Result<()> {
        let request = get(address, host);
        let answers = async || request.send().await.is_ok_and(|answer| answer.status == status).then_some(());
        wait_for(&format!("{status} for {host} at {address}"), PATIENCE, answers).await
    }

    /// Takes everything away, as docs/kubernetes.md says.
    pub(crate) async fn uninstall(&self) -> Result<()> {
        self.cluster.kubectl(&["delete", "gateways", "--all", "--all-namespaces"]).await?;
        let envoys = "--selector=app.kubernetes.io/component=proxy";
        self.kubectl(&["wait", "--for=delete", "deployments,pods", envoys, "--timeout=60s"]).await?;
        let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
        std::fs::write(&file, manifests(TAG)?)?;
        let delete = ["delete", "--ignore-not-found", "--timeout=100s", "--filename"];
        self.cluster.kubectl(&[&delete[..], &[&file.path().display().to_string()]].concat()).await.map(drop)
    }

    /// Uninstalls, takes the quickstart away, and looks whether all is as it was before anything was installed.
    pub(crate) async fn leaves_nothing(&self, before: &BTreeSet<String>) -> Result<()> {
        self.uninstall().await?;
        let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
        std::fs::write(&file, QUICKSTART)?;
        // Nothing of the user's is held back by a finalizer.
        let delete = ["delete", "--ignore-not-found", "--cascade=foreground", "--timeout=60s", "--filename"];
        self.cluster.kubectl(&[&delete[..], &[&file.path().display().to_string()]].concat()).await?;
        // What goes by itself takes a moment.
        let is_as_before = async || (self.inventory().await.ok()? == *before).then_some(());
        let outcome = wait_for("all to be as before", PATIENCE, is_as_before).await;
        let after = self.inventory().await?;
        let (left, lost) = (after.difference(before), before.difference(&after));
        outcome.with_context(|| format!("left: {left:?}, lost: {lost:?}"))
    }

    /// Every object in the cluster, once no more come by themselves.
    pub(crate) async fn at_rest(&self) -> Result<BTreeSet<String>> {
        let mut before = BTreeSet::new();
        let same = async || {
            let now = self.inventory().await.ok()?;
            let is_same = now == std::mem::replace(&mut before, now.clone());
            is_same.then_some(now)
        };
        wait_for("the cluster to be at rest", PATIENCE, same).await
    }

    /// Every object in the cluster, as `Kind namespace/name`, but those that come and go by themselves.
    async fn inventory(&self) -> Result<BTreeSet<String>> {
        let kinds = self.kinds(&["leases", "componentstatuses"]).await?;
        let template = r#"jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{"\n"}{end}"#;
        let objects = self.cluster.kubectl(&["get", &kinds, "--all-namespaces", "--output", template]).await?;
        Ok(objects.lines().map(str::to_owned).collect())
    }

    /// All kinds of objects but events and these, as kubectl is told.
    pub(crate) async fn kinds(&self, without: &[&str]) -> Result<String> {
        let kinds = self.cluster.kubectl(&["api-resources", "--verbs=list", "--output=name"]).await?;
        let is_meant = |kind: &&str| {
            let plural = kind.split('.').next().unwrap_or_default();
            plural != "events" && !without.contains(&plural)
        };
        Ok(kinds.lines().filter(is_meant).collect::<Vec<_>>().join(","))
    }
}

/// A request for a host, to the Gateway at an address.
pub(crate) fn get(address: IpAddr, host: &str) -> Request {
    Request::get(&format!("http://{host}/")).to(std::net::SocketAddr::new(address, 80))
}
