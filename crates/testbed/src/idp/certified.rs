//! The certified OpenID provider of npm, for tests that our own provider should not be the only judge of.

use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, Spec};
use crate::{PATIENCE, tools};

const SCRIPT: &str = include_str!("../../node/provider.mjs");

/// A running provider. Everybody is Ann, unless it has a form. Dropping it ends it.
#[derive(Debug)]
pub struct Certified {
    issuer: String,
    process: Process,
    _dir: TempDir,
}

impl Certified {
    /// Starts it for clients, as its package wants them described; access tokens last so long.
    pub async fn start(clients: &Value, lifetime: Duration) -> Result<Self> {
        Self::launch(&json!({ "clients": clients, "lifetime": lifetime.as_secs() })).await
    }

    /// Starts it with a form in which people say who they are.
    pub async fn with_form(clients: &Value) -> Result<Self> {
        Self::launch(&json!({ "clients": clients, "lifetime": 300, "form": true })).await
    }

    async fn launch(settings: &Value) -> Result<Self> {
        let dir = TempDir::with_prefix("provider-")?;
        // Modules are looked for beside the script.
        symlink(tools::oidc_provider()?, dir.path().join("node_modules"))?;
        let script = dir.path().join("provider.mjs");
        std::fs::write(&script, SCRIPT)?;
        let mut process = Spec::new("node").arg(&script).env("PROVIDER", settings.to_string()).start()?;
        let line = process.wait_for_line(PATIENCE, |line| line.starts_with("issuer ")).await?;
        let issuer = line.strip_prefix("issuer ").context("it says where it is")?.trim().to_owned();
        Ok(Self { issuer, process, _dir: dir })
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
