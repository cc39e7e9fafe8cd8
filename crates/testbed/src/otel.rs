//! A real OpenTelemetry collector for a test: it takes OTLP by gRPC, and writes down what it understood; killed at the end.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, Spec};
use crate::{PATIENCE, tools};

/// The address in the line that tells it: words, and fields as JSON.
fn bound(line: &str) -> Option<SocketAddr> {
    let fields = line.contains("Starting GRPC server").then(|| line.find('{'))??;
    let fields: Value = serde_json::from_str(&line[fields..]).ok()?;
    fields["endpoint"].as_str()?.parse().ok()
}

/// A running collector. Dropping it kills it.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    _process: Process,
    dir: TempDir,
}

impl Collector {
    /// Starts it and waits until it serves.
    pub async fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("otel-")?;
        let file = |name: &str| json!({ "path": dir.path().join(name), "flush_interval": "100ms" });
        let pipe = |name: &str| json!({ "receivers": ["otlp"], "exporters": [format!("file/{name}")] });
        let config = json!({
            "receivers": { "otlp": { "protocols": { "grpc": { "endpoint": "127.0.0.1:0" } } } },
            "exporters": { "file/metrics": file("metrics"), "file/logs": file("logs") },
            "service": {
                "telemetry": { "metrics": { "level": "none" } },
                "pipelines": { "metrics": pipe("metrics"), "logs": pipe("logs") },
            },
        });
        // JSON is YAML.
        let mut process = Spec::new(tools::otel_collector()?).arg(format!("--config=yaml:{config}")).start()?;
        let line = process
            .wait_for_line(PATIENCE, |line| bound(line).is_some())
            .await
            .context("the collector does not start")?;
        let address = bound(&line).expect("the line was looked for by it");
        process.wait_for_line(PATIENCE, |line| line.contains("Everything is ready")).await?;
        Ok(Self { address, _process: process, dir })
    }

    /// Where it takes OTLP by gRPC.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The metrics that came so far, each as often as it came: OTLP in JSON.
    pub fn metrics(&self) -> Vec<Value> {
        self.taken("metrics", ["resourceMetrics", "scopeMetrics", "metrics"])
    }

    /// The records of logs that came so far.
    pub fn records(&self) -> Vec<Value> {
        self.taken("logs", ["resourceLogs", "scopeLogs", "logRecords"])
    }

    /// What stands in a file at the end of this path of lists. A line that is not written to its end is not there yet.
    fn taken(&self, file: &str, path: [&str; 3]) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        path.iter().fold(lines, |values: Vec<Value>, field| {
            values.iter().flat_map(|value| value[*field].as_array().cloned().unwrap_or_default()).collect()
        })
    }
}
