//! A running service with its profiles.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::process::Process;
use testbed::service::{self, configuration, listening};
use testbed::wait::{wait_for, wait_until};

/// A running service. Dropping it ends it.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Where Envoy asks.
    pub(crate) grpc: String,
    admin: String,
    dir: TempDir,
}

impl Service {
    /// Starts it with profiles (file names and contents) and more settings (YAML lines), and waits until it serves.
    pub(crate) async fn start(profiles: &[(&str, &str)], settings: &str) -> Self {
        Self::start_with_audit(profiles, settings, "when: relevant").await
    }

    /// The same with more settings of the audit log.
    pub(crate) async fn start_with_audit(profiles: &[(&str, &str)], settings: &str, more: &str) -> Self {
        let dir = TempDir::with_prefix("waf-").unwrap();
        let directory = dir.path().join("profiles");
        fs::create_dir(&directory).unwrap();
        for (name, text) in profiles {
            fs::write(directory.join(name), text).unwrap();
        }
        let audit = dir.path().join("audit.log");
        let settings =
            format!("profiles: [{{path: {directory:?}}}]\naudit: {{file: {{path: {audit:?}}}, {more}}}\n{settings}");
        Self::run(dir, &settings).await
    }

    /// Starts it with these settings and ports alone.
    pub(crate) async fn start_bare(settings: &str) -> Self {
        Self::run(TempDir::with_prefix("waf-").unwrap(), settings).await
    }

    async fn run(dir: TempDir, settings: &str) -> Self {
        let file = dir.path().join("waf.yaml");
        let patience = if settings.contains("engine: ") { "" } else { "engine: {deadline: 20s}\n" };
        let settings = format!("{patience}{settings}");
        fs::write(&file, configuration(dir.path(), &settings, &["grpc", "admin"])).unwrap();
        let mut process = service::start(env!("CARGO_BIN_EXE_portcullis-waf"), &file, &[]).unwrap();
        let admin = listening(&mut process, "admin").await.unwrap();
        let grpc = listening(&mut process, "grpc").await.unwrap();
        Self { process, grpc, admin, dir }
    }

    /// Where its profiles are.
    pub(crate) fn profiles(&self) -> PathBuf {
        self.dir.path().join("profiles")
    }

    /// Replaces a profile as editors do: whole or not at all.
    pub(crate) fn rewrite(&self, name: &str, text: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.profiles().join(name)).unwrap();
    }

    /// Asks the admin port.
    pub(crate) async fn page(&self, path: &str) -> String {
        service::page(&self.admin, path).await.unwrap()
    }

    /// The value of a metric, with its labels as they are written; 0 when it is not there yet.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        service::metric(&self.admin, series).await.unwrap()
    }

    /// Waits until a metric is at least so much.
    pub(crate) async fn reaches(&self, series: &str, least: f64) {
        wait_until(series, PATIENCE, async || self.metric(series).await >= least).await.unwrap();
    }

    /// Where its audit log is.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.dir.path().join("audit.log")
    }

    /// All entries of the audit log.
    pub(crate) fn entries(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.audit_log()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for an entry of the audit log.
    pub(crate) async fn entry(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let look = async || self.entries().into_iter().find(|entry| wanted(entry));
        wait_for(what, PATIENCE, look).await.unwrap()
    }
}
