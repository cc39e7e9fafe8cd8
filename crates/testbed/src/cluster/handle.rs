//! What one can do with a running cluster, whoever has started it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::image::Image;
use super::namespaces::Inside;
use super::net::Net;
use super::place::{AUDIT_LOG, dir_of, is_held};
use crate::tools::{Program, kubernetes, module_dir};

/// The file that says what a cluster is, for other processes than the one that started it.
const FILE: &str = "cluster.json";

/// Which of the Gateway API's resource definitions to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// What is stable.
    Standard,
    /// That, and what is being tried.
    Experimental,
}

/// A running cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Handle {
    name: String,
    net: String,
    dir: PathBuf,
    init: u32,
    pods: bool,
}

impl Handle {
    pub(super) fn new(name: &str, net: Net, dir: &Path, inside: Inside, pods: bool) -> Self {
        Self { name: name.to_owned(), net: net.to_string(), dir: dir.to_owned(), init: inside.init, pods }
    }

    /// The cluster of that name, if it runs and is ready.
    pub fn open(name: &str) -> Result<Option<Self>> {
        if !is_held(name)? {
            return Ok(None);
        }
        let Ok(text) = fs::read_to_string(dir_of(name)?.join(FILE)) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).context("the cluster's own description")
    }

    /// Lets other processes find it.
    pub(super) fn publish(&self) -> Result<()> {
        let file = self.dir.join(FILE);
        let partial = file.with_extension("partial");
        fs::write(&partial, serde_json::to_string(self)?)?;
        Ok(fs::rename(partial, file)?)
    }

    /// Its name; also its node's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its addresses.
    pub fn net(&self) -> Net {
        self.net.parse().expect("it was written from a network")
    }

    /// Whether it has a node that runs pods.
    pub fn has_pods(&self) -> bool {
        self.pods
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("credentials/admin.conf")
    }

    /// The directory of its components' logs.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// What the API server was asked for until now, in the order of its answers; nothing unless the cluster was started with
    /// [`Spec::audit`](super::Spec::audit).
    pub fn audited(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.dir.join(AUDIT_LOG)).unwrap_or_default();
        // What follows the last line break is being written.
        let lines = text.rsplit_once('\n').map_or("", |(whole, _)| whole).lines();
        lines.map(|line| serde_json::from_str(line).context("a line of the audit log")).collect()
    }

    /// Process 1 of the node, as this machine numbers it.
    pub(super) fn init(&self) -> u32 {
        self.init
    }

    /// The command that gets one into the node's namespaces.
    pub fn enter(&self) -> String {
        format!("nsenter --target {} --mount --net --pid --uts --", self.init)
    }

    /// Runs kubectl, and gives what it printed; an error with its words if it failed.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_with(args, "").await
    }

    /// Applies manifests (YAML or JSON) on the server's side.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        self.kubectl_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], manifests).await.map(drop)
    }

    /// `kubectl wait`, for as long as `--timeout` among the arguments says, else a minute.
    pub async fn wait(&self, args: &[&str]) -> Result<()> {
        let all: Vec<&str> = ["wait", "--timeout=60s"].iter().chain(args).copied().collect();
        self.kubectl(&all).await.map(drop)
    }

    /// Installs the resource definitions of the Gateway API, and waits until the API server serves them.
    pub async fn install_gateway_api(&self, channel: Channel) -> Result<()> {
        let path = match channel {
            Channel::Standard => "config/crd/standard",
            Channel::Experimental => "config/crd/experimental",
        };
        let dir = tokio::task::spawn_blocking(move || module_dir("sigs.k8s.io/gateway-api", path)).await??;
        let mut args = vec!["apply".to_owned(), "--server-side".to_owned(), "--force-conflicts".to_owned()];
        for file in fs::read_dir(dir)? {
            // Beside the definitions lies what only kustomize reads.
            let file = file?.path().display().to_string();
            args.extend((!file.ends_with("kustomization.yaml")).then(|| format!("--filename={file}")));
        }
        self.kubectl(&args.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        self.wait(&["--for=condition=Established", "crd", "--all"]).await
    }

    /// Makes an image and gives it to the node.
    pub async fn import(&self, image: &Image) -> Result<()> {
        if !self.pods {
            bail!("cluster {} has no node that could run {}", self.name, image.name());
        }
        let archive = tempfile::Builder::new().suffix(".tar").tempfile_in(&self.dir)?.into_temp_path();
        let (made, path) = (image.clone(), archive.to_path_buf());
        tokio::task::spawn_blocking(move || made.write(&path)).await??;
        self.import_archive(&archive).await
    }

    pub(super) async fn import_archive(&self, archive: &Path) -> Result<()> {
        let archive = archive.display().to_string();
        self.run("ctr", &["--namespace=k8s.io", "images", "import", &archive]).await.map(drop)
    }

    /// Runs a command in the node's namespaces, and gives what it printed.
    pub async fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        Inside { init: self.init }.run(program, args).await
    }

    async fn kubectl_with(&self, args: &[&str], input: &str) -> Result<String> {
        let kubectl = tokio::task::spawn_blocking(|| kubernetes(Program::Kubectl)).await??;
        let mut command = Command::new(kubectl);
        // What kubectl learns about an API is kept by address: another cluster may have had this one.
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--cache-dir").arg(self.dir.join("kubectl"));
        command.args(args).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("standard input was asked for")?;
        let feed = async {
            // A kubectl that has given up reading says why on its standard error.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output?;
        if !output.status.success() {
            bail!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
