//! The two services as processes, with the same rules.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use testbed::process::{Process, Spec};
use testbed::redis::Redis;
use testbed::wait::wait_for;
use testbed::{PATIENCE, tools};

/// How hits are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fixed,
    Sliding,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed windows",
            Self::Sliding => "sliding windows",
        }
    }
}

/// A running service, on a Unix socket.
pub(crate) struct Service {
    pub(crate) socket: PathBuf,
    process: Process,
    _dir: TempDir,
}

/// Ten keys, limits that are not reached: the work is counting.
fn rules(kind: Kind) -> String {
    let algorithm = if kind == Kind::Sliding { ", algorithm: sliding_window" } else { "" };
    let mut text = "domain: edge\ndescriptors:\n".to_owned();
    for index in 0..10 {
        let limit = format!("unit: hour, requests_per_unit: 1000000{algorithm}");
        writeln!(text, "- key: key{index}\n  rate_limit: {{{limit}}}").expect("a string can be written to");
    }
    text
}

impl Service {
    pub(crate) async fn ours(redis: &Redis, kind: Kind) -> Result<Self> {
        let store = format!("redis: {{deadline: 1s, server: {{address: '{}'}}}}", redis.address());
        Self::own(&store, kind).await
    }

    pub(crate) async fn embedded(keys: u32) -> Result<Self> {
        Self::own(&format!("memory: {{maxKeys: {keys}}}"), Kind::Fixed).await
    }

    async fn own(store: &str, kind: Kind) -> Result<Self> {
        let dir = TempDir::with_prefix("load-")?;
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("rules.yaml"), rules(kind))?;
        let config = format!(
            "grpc: {{address: 'unix:{}'}}\nhttp: {{address: '127.0.0.1:0'}}\nadmin: {{address: '127.0.0.1:0'}}\n\
             rules: {{files: [{:?}]}}\nstore: {{{store}}}\n",
            path("grpc.sock").display(),
            path("rules.yaml")
        );
        std::fs::write(path("config.yaml"), config)?;
        let spec = Spec::new(env!("CARGO_BIN_EXE_portcullis-ratelimit")).arg("--config-path").arg(path("config.yaml"));
        Self::answering(spec.start()?, dir).await
    }

    pub(crate) async fn reference(redis: &Redis) -> Result<Self> {
        let dir = TempDir::with_prefix("load-")?;
        std::fs::create_dir_all(dir.path().join("rules/config"))?;
        std::fs::write(dir.path().join("rules/config/edge.yaml"), rules(Kind::Fixed))?;
        let spec = Spec::new(tools::ratelimit()?)
            .env("RUNTIME_ROOT", dir.path())
            .env("RUNTIME_SUBDIRECTORY", "rules")
            .env("RUNTIME_WATCH_ROOT", "false")
            .env("GRPC_UDS", dir.path().join("grpc.sock"))
            .env("REDIS_URL", redis.address().to_string())
            .env("REDIS_SOCKET_TYPE", "tcp")
            .env("USE_STATSD", "false")
            .env("LOG_LEVEL", "error");
        let ports = [("HOST", "127.0.0.1"), ("PORT", "0"), ("DEBUG_HOST", "127.0.0.1"), ("DEBUG_PORT", "0")];
        Self::answering(ports.into_iter().fold(spec, |spec, (name, value)| spec.env(name, value)).start()?, dir).await
    }

    async fn answering(process: Process, dir: TempDir) -> Result<Self> {
        let socket = dir.path().join("grpc.sock");
        let connect = async || tokio::net::UnixStream::connect(&socket).await.ok();
        wait_for("the service to listen", PATIENCE, connect).await.with_context(|| process.tail())?;
        Ok(Self { socket, process, _dir: dir })
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        self.process.processor_time()
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        self.process.resident_mebibytes()
    }
}
