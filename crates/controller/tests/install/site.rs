//! A cluster with an installation in it, and who acts there.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use controller::install::{Options, objects};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::cluster::{Channel, Cluster};
use tokio::process::Command;

/// The program under test.
pub(crate) const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// A cluster with an installation in it. Nothing of it runs: there is no node.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    pub(crate) options: Options,
    pub(crate) dir: TempDir,
}

impl Site {
    /// Makes a cluster and installs into it.
    pub(crate) async fn install(options: Options) -> Result<Self> {
        let cluster = Cluster::api_only().start().await?;
        cluster.install_gateway_api(Channel::Experimental).await?;
        for namespace in &options.watched {
            cluster.kubectl(&["create", "namespace", namespace]).await?;
        }
        cluster.apply(&list(&objects(&options)?)).await?;
        cluster.wait(&["--for=condition=Established", "crd", "--all"]).await?;
        Ok(Self { cluster, options, dir: TempDir::with_prefix("pc-")? })
    }

    /// A kubeconfig of one of the installation's accounts.
    pub(crate) async fn kubeconfig(&self, account: &str) -> Result<PathBuf> {
        let namespace = &self.options.namespace;
        let token = self.cluster.kubectl(&["create", "token", account, "--namespace", namespace]).await?;
        let config = self.cluster.kubectl(&["config", "view", "--raw", "--output=json"]).await?;
        let mut config: Value = serde_json::from_str(&config)?;
        for user in config["users"].as_array_mut().context("it has users")? {
            user["user"] = json!({"token": token.trim()});
        }
        let file = self.dir.path().join(format!("{account}.conf"));
        fs::write(&file, config.to_string())?;
        Ok(file)
    }

    /// Runs certgen as its Job does, and gives what it printed.
    pub(crate) async fn certgen(&self, more: &[&str]) -> Result<String> {
        let kubeconfig = self.kubeconfig("envoy-gateway-certgen").await?;
        let mut command = Command::new(PORTCULLIS);
        command.args(["certgen", "--kubernetes"]).args(more).kill_on_drop(true);
        command.env("KUBECONFIG", kubeconfig).env("ENVOY_GATEWAY_NAMESPACE", &self.options.namespace);
        let output = command.output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A Secret's files in a directory, as they are mounted.
    pub(crate) async fn mounted(&self, secret: &str) -> Result<PathBuf> {
        let path = format!("/api/v1/namespaces/{}/secrets/{secret}", self.options.namespace);
        let secret_data = self.cluster.kubectl(&["get", "--raw", &path]).await?;
        let object: Value = serde_json::from_str(&secret_data)?;
        let directory = self.dir.path().join(secret);
        fs::create_dir_all(&directory)?;
        for (file, content) in object["data"].as_object().context("it has files")? {
            use base64::Engine as _;
            let content = base64::engine::general_purpose::STANDARD.decode(content.as_str().unwrap_or_default())?;
            fs::write(directory.join(file), content)?;
        }
        Ok(directory)
    }
}

/// Objects as one document.
pub(crate) fn list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}
