//! A real Envoy for a test: started from a bootstrap, asked through its admin interface, killed at the end.
//!
//! ```no_run
//! # async fn example(bootstrap: &str) -> anyhow::Result<()> {
//! let envoy = testbed::envoy::Spec::new(bootstrap).start().await?;
//! let listener = envoy.listener("http").await?;
//! # Ok(()) }
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Request, Response};
use crate::process::{self, Process};
use crate::wait::wait_for;
use crate::{PATIENCE, tools};

/// Laid over every bootstrap, so that tests never agree on a port.
const ADMIN_ON_ANY_PORT: &str = r#"{"admin":{"address":{"socket_address":{"address":"127.0.0.1","port_value":0}}}}"#;

/// What to start: a bootstrap and arguments.
#[derive(Debug)]
pub struct Spec {
    bootstrap: String,
    args: Vec<String>,
    concurrency: u32,
    log_level: String,
}

impl Spec {
    /// A bootstrap in YAML or JSON. Its admin address, if any, is replaced by a free port of 127.0.0.1.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), args: Vec::new(), concurrency: 1, log_level: "info".to_owned() }
    }

    /// Adds command line arguments, such as `--service-node`.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The number of worker threads, 1 unless said otherwise.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// `trace`, `debug`, `info` (the default), `warning`, …
    #[must_use]
    pub fn log_level(mut self, level: impl Into<String>) -> Self {
        self.log_level = level.into();
        self
    }

    /// Starts Envoy and waits until `/ready` says LIVE: all static listeners serve, and the first xDS answers are in.
    pub async fn start(self) -> Result<Envoy> {
        let envoy = self.start_unready().await?;
        envoy.wait_ready(PATIENCE).await?;
        Ok(envoy)
    }

    /// Starts Envoy and waits for its admin interface only, for tests in which it cannot become ready.
    pub async fn start_unready(self) -> Result<Envoy> {
        let dir = TempDir::with_prefix("envoy-")?;
        let address_file = dir.path().join("admin-address");
        let config = write_bootstrap(&self.bootstrap, &dir)?;
        let mut process = process::Spec::new(tools::envoy()?)
            .arg("--config-path")
            .arg(config)
            .args(["--config-yaml", ADMIN_ON_ANY_PORT, "--disable-hot-restart", "--admin-address-path"])
            .arg(&address_file)
            .args(["--concurrency", &self.concurrency.to_string(), "--log-level", &self.log_level])
            .args(self.args)
            .log_to(dir.path().join("envoy.log"))
            .start()?;
        let started = wait_for("Envoy's admin interface", PATIENCE, async || {
            if let Some(status) = process.exited() {
                return Some(Err(status));
            }
            std::fs::read_to_string(&address_file).ok()?.parse().ok().map(Ok)
        });
        match started.await.with_context(|| process.tail())? {
            Ok(admin) => Ok(Envoy { process, admin, _dir: dir }),
            Err(status) => bail!("Envoy ended ({status}):\n{}", process.tail()),
        }
    }
}

/// Whether Envoy takes a bootstrap (YAML or JSON) with all that is in it, in its own words when it does not.
///
/// This is `envoy --mode validate`: proto validation, filters, routes and clusters are built, sockets are not opened.
pub fn validate(bootstrap: &str) -> Result<(), String> {
    let run = || -> Result<_> {
        let dir = TempDir::with_prefix("envoy-")?;
        let config = write_bootstrap(bootstrap, &dir)?;
        let mut command = Command::new(tools::envoy()?);
        command
            .args(["--mode", "validate", "--log-level", "error", "--disable-hot-restart", "--config-path"])
            .arg(config);
        Ok(command.output()?)
    };
    match run() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
        }
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Envoy tells the format by the file's extension; its JSON reader is much faster than its YAML one.
fn write_bootstrap(bootstrap: &str, dir: &TempDir) -> Result<PathBuf> {
    let extension = if bootstrap.trim_start().starts_with('{') { "json" } else { "yaml" };
    let path = dir.path().join(format!("bootstrap.{extension}"));
    std::fs::write(&path, bootstrap)?;
    Ok(path)
}

/// A running Envoy. Dropping it kills it.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    _dir: TempDir,
}

impl Envoy {
    /// Where its admin interface listens.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The same as a URL, without a slash at the end.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The process, for its log, its id and signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until `/ready` answers 200.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<()> {
        let ready = async || self.admin_get("/ready").await.ok().filter(|answer| answer.status == StatusCode::OK);
        wait_for("Envoy to be ready", deadline, ready).await.with_context(|| self.process.tail())?;
        Ok(())
    }

    /// Asks the admin interface.
    pub async fn admin_get(&self, path: &str) -> Result<Response> {
        Request::get(&format!("{}{path}", self.admin_url())).send().await
    }

    /// Asks the admin interface to do something, such as `/drain_listeners?graceful`.
    pub async fn admin_post(&self, path: &str) -> Result<Response> {
        Request::new(Method::POST, &format!("{}{path}", self.admin_url())).send().await
    }

    /// The bound address of every listener, by the listener's name.
    pub async fn listeners(&self) -> Result<BTreeMap<String, SocketAddr>> {
        listeners(self.admin).await
    }

    /// The bound address of one listener; waits until Envoy has it.
    pub async fn listener(&self, name: &str) -> Result<SocketAddr> {
        let what = format!("the listener {name}");
        wait_for(&what, PATIENCE, async || self.listeners().await.ok()?.get(name).copied())
            .await
            .with_context(|| self.process.tail())
    }

    /// `/config_dump`; `query` may narrow it, such as `?resource=dynamic_active_clusters` or `?include_eds`, or be empty.
    pub async fn config_dump(&self, query: &str) -> Result<Value> {
        self.admin_get(&format!("/config_dump{query}")).await?.json()
    }

    /// All counters and gauges by name.
    pub async fn stats(&self) -> Result<BTreeMap<String, u64>> {
        let answer = self.admin_get("/stats").await?.text();
        let number =
            |line: &str| line.split_once(": ").and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Ok(answer.lines().filter_map(number).collect())
    }

    /// One counter or gauge; 0 when Envoy has not made it yet, as is its way with unused ones.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        Ok(self.stats().await?.get(name).copied().unwrap_or(0))
    }

    /// Ends it by SIGTERM.
    pub async fn terminate(self) -> Result<()> {
        self.process.terminate(PATIENCE).await?;
        Ok(())
    }
}

/// The listeners of any Envoy whose admin address is known: bound address by name. Pipes are left out.
pub async fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>> {
    let answer: Value = Request::get(&format!("http://{admin}/listeners?format=json")).send().await?.json()?;
    let bound = |status: &Value| {
        let socket = &status["local_address"]["socket_address"];
        let ip = socket["address"].as_str()?.parse().ok()?;
        let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
        Some((status["name"].as_str()?.to_owned(), SocketAddr::new(ip, port)))
    };
    Ok(answer["listener_statuses"].as_array().into_iter().flatten().filter_map(bound).collect())
}
