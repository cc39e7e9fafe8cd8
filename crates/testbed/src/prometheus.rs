//! A real Prometheus for a test: it scrapes what the test names, evaluates rules, and is asked by PromQL; killed at the end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Request;
use crate::process::{self, Process};
use crate::{PATIENCE, tools};

/// What to start.
#[derive(Debug, Default)]
pub struct Spec {
    targets: Vec<Value>,
    rules: Vec<PathBuf>,
}

impl Spec {
    /// A Prometheus that scrapes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Scrapes this address and path each second; its series get these labels.
    #[must_use]
    pub fn scrape(mut self, address: &str, path: &str, labels: &[(&str, &str)]) -> Self {
        let job = format!("job-{}", self.targets.len());
        let labels: Value = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        self.targets.push(json!({
            "job_name": job, "metrics_path": path, "static_configs": [{ "targets": [address], "labels": labels }],
        }));
        self
    }

    /// Evaluates the rules of a file.
    #[must_use]
    pub fn rules(mut self, file: impl Into<PathBuf>) -> Self {
        self.rules.push(file.into());
        self
    }

    /// Starts it and waits until it serves.
    pub async fn start(self) -> Result<Prometheus> {
        let dir = TempDir::with_prefix("prometheus-")?;
        let config = dir.path().join("prometheus.yml");
        let content = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "scrape_configs": self.targets, "rule_files": self.rules,
        });
        // JSON is YAML.
        std::fs::write(&config, content.to_string())?;
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let mut process = process::Spec::new(tools::prometheus()?)
            .arg(flag("config.file", &config))
            .arg(flag("storage.tsdb.path", &dir.path().join("data")))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .start()?;
        let line =
            process.wait_for_line(PATIENCE, |line| bound(line).is_some()).await.context("Prometheus does not start")?;
        let address = bound(&line).expect("the line was looked for by it");
        process.wait_for_line(PATIENCE, |line| line.contains("Server is ready")).await?;
        Ok(Prometheus { address, _process: process, _dir: dir })
    }
}

/// The address in the line that tells it.
fn bound(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["msg"] == "Listening on").then(|| line["address"].as_str()?.parse().ok())?
}

/// A running Prometheus. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _dir: TempDir,
}

impl Prometheus {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The series that a query has now: their labels, with the value as a string beside them.
    pub async fn query(&self, promql: &str) -> Result<Vec<Value>> {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("query", promql).finish();
        let answer: Value =
            Request::get(&format!("http://{}/api/v1/query?{query}", self.address)).send().await?.json()?;
        if answer["status"] != "success" {
            bail!("{promql}: {}", answer["error"]);
        }
        let result = &answer["data"]["result"];
        // A scalar is a pair of time and value, not a list of series.
        if answer["data"]["resultType"] == "scalar" {
            return Ok(vec![result.clone()]);
        }
        Ok(result.as_array().cloned().unwrap_or_default())
    }
}
