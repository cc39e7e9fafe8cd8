//! One case: a directory of manifests, the real server on it with its Envoy, and what can be asked of both.
//!
//! ```text
//! manifests ─▶ Case (portcullis server ─▶ Envoy) ◀─ requests of testbed's clients ─▶ testbed's echo backends
//! ```
//!
//! Nothing is left when a [`Case`] is dropped: an Envoy outlives a controller that is killed, so it is ended by its own id.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::process::{Process, Spec};
use testbed::wait::{wait_for, wait_for_value};

/// The ports that tests hand out: below those that the system gives to connections, so that none is taken meanwhile.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 20_000;

/// A port that nobody listens on, for TCP or UDP, and that no other case of this test run has.
///
/// A listener's port stands in its manifest, so it cannot be 0.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test runs at a time begin at different places.
    let start = u16::try_from(std::process::id() * 97 % u32::from(PORTS)).expect("less than PORTS");
    loop {
        let port = FIRST_PORT + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// That port of 127.0.0.1.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A running server and its Envoys. Dropping it ends them.
pub(crate) struct Case {
    dir: TempDir,
    pub(crate) server: Option<Process>,
}

impl Case {
    /// Starts the server on these manifests, which are written to one file, `main`.
    pub(crate) async fn start(manifests: &[String]) -> Result<Self> {
        Self::configured("", manifests)
    }

    /// The same with further fields of the server's configuration.
    pub(crate) fn configured(fields: &str, manifests: &[String]) -> Result<Self> {
        let dir = TempDir::with_prefix("e2e-")?;
        fs::create_dir(dir.path().join("res"))?;
        let root = dir.path().display();
        fs::write(
            dir.path().join("config.yaml"),
            format!(
                "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\n\
                 gateway: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}\n\
                 provider:\n  type: Custom\n  custom:\n    resource: {{type: File, file: {{paths: ['{root}/res']}}}}\n    \
                 infrastructure: {{type: Host, host: {{runtimeDir: '{root}/run'}}}}\n\
                 admin: {{address: {{host: 127.0.0.1, port: 0}}}}\n\
                 extensionApis: {{enableBackend: true, enableEnvoyPatchPolicy: true}}\n{fields}"
            ),
        )?;
        let mut case = Self { dir, server: None };
        case.write("main", &manifests.concat())?;
        case.restart()?;
        Ok(case)
    }

    /// Kills the server, if it runs, and starts it again; its Envoys go on meanwhile.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.server = None;
        let spec = Spec::new(env!("CARGO_BIN_EXE_portcullis")).args(["server", "--config-path"]).arg(self.config());
        self.server = Some(spec.env("PORTCULLIS_ENVOY", testbed::tools::envoy()?).start()?);
        Ok(())
    }

    /// Ends the server in order; gives the directory, so that what is left can be looked at.
    pub(crate) async fn stop(mut self) -> Result<TempDir> {
        let server = self.server.take().context("no server")?;
        let status = server.terminate(PATIENCE).await?;
        ensure!(status.success(), "{status}");
        Ok(std::mem::replace(&mut self.dir, TempDir::new()?))
    }

    /// The server's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    /// The directory of the case; its names are short enough for Unix sockets.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file of manifests.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("res/{name}.yaml"))
    }

    /// Writes a file of manifests, all of it at once.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let new = self.dir.path().join(format!("{name}.new"));
        fs::write(&new, text)?;
        Ok(fs::rename(new, self.file(name))?)
    }

    /// Removes a file of manifests.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.file(name))?)
    }

    /// Asks the server's admin socket for JSON.
    pub(crate) async fn ask(&self, path: &str) -> Result<Value> {
        Request::get(&format!("http://localhost{path}")).to(self.dir.path().join("run/admin.sock")).send().await?.json()
    }

    /// Asks the admin interface of a fleet's Envoy (`default/gw`).
    pub(crate) async fn envoy(&self, fleet: &str, path: &str) -> Result<String> {
        let socket = self.dir.path().join("run/envoys").join(fleet.replace('/', "_")).join("admin.sock");
        Ok(Request::get(&format!("http://localhost{path}")).to(socket).send().await?.text())
    }

    /// The process id of the one Envoy; waits until the server says it.
    pub(crate) async fn envoy_pid(&self) -> Result<i32> {
        let pid = async || {
            let answer = self.ask("/api/envoys").await.ok()?;
            let pid = answer["processes"].as_object()?.values().next()?["pid"].as_i64()?;
            i32::try_from(pid).ok()
        };
        wait_for("a running Envoy", PATIENCE, pid).await
    }

    /// The status of a resource.
    pub(crate) async fn status(&self, kind: &str, name: &str) -> Result<Value> {
        let all = self.ask("/api/resources").await?;
        let fits = |item: &&Value| item["kind"] == kind && item["metadata"]["name"] == name;
        let found = all["items"].as_array().into_iter().flatten().find(fits);
        Ok(found.with_context(|| format!("no {kind} {name} in {all}"))?["status"].clone())
    }

    /// Waits until something holds; the error shows what was last seen, all statuses and the server's log.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let mut last = String::new();
        let look = async || match holds().await {
            Ok(true) => Some(()),
            Ok(false) => {
                "it does not hold".clone_into(&mut last);
                None
            }
            Err(error) => {
                last = format!("{error:#}");
                None
            }
        };
        match wait_for(what, PATIENCE, look).await {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error:#}: {last}\n{}", self.state().await),
        }
    }

    /// All statuses and the end of the server's log, for errors.
    pub(crate) async fn state(&self) -> String {
        let all = self.ask("/api/resources").await.map(|all| format!("{all:#}")).unwrap_or_default();
        format!("{all}\n{}", self.server.as_ref().map(Process::tail).unwrap_or_default())
    }

    /// Waits for the status of a condition of a resource, or of one of its parents, ancestors or listeners.
    pub(crate) async fn condition(&self, kind: &str, name: &str, condition: &str, status: &str) -> Result<()> {
        self.find(kind, name, condition, "status", status).await
    }

    /// Waits for the reason of a condition.
    pub(crate) async fn reason(&self, kind: &str, name: &str, condition: &str, reason: &str) -> Result<()> {
        self.find(kind, name, condition, "reason", reason).await
    }

    /// Waits until Envoy has all of a Gateway.
    pub(crate) async fn programmed(&self, gateway: &str) -> Result<()> {
        let programmed = async || {
            let status = self.status("Gateway", gateway).await?;
            let own = status["conditions"].as_array().context("no conditions yet")?;
            Ok(own.iter().any(|found| found["type"] == "Programmed" && found["status"] == "True"))
        };
        self.until(&format!("Programmed of {gateway}"), programmed).await
    }

    /// Waits for the number of routes of a listener.
    pub(crate) async fn attached(&self, gateway: &str, listener: &str, routes: u64) -> Result<()> {
        wait_for_value(&format!("routes of {listener}"), PATIENCE, &Some(routes), async || {
            let status = self.status("Gateway", gateway).await.ok()?;
            let mut listeners = status["listeners"].as_array()?.iter();
            listeners.find(|found| found["name"] == listener)?["attachedRoutes"].as_u64()
        })
        .await
    }

    async fn find(&self, kind: &str, name: &str, condition: &str, field: &str, wanted: &str) -> Result<()> {
        let look = async || {
            let all = conditions(&self.status(kind, name).await.ok()?);
            let mut all = all.into_iter().filter(|found| found["type"] == condition);
            all.any(|found| found[field] == wanted).then_some(())
        };
        let what = format!("{condition} of {kind} {name} with {field} {wanted}");
        match wait_for(&what, PATIENCE, look).await {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error:#}\n{:#}", self.status(kind, name).await.unwrap_or_default()),
        }
    }
}

/// Every condition of a resource, its parents, ancestors and listeners.
fn conditions(status: &Value) -> Vec<Value> {
    let mut all: Vec<Value> = status["conditions"].as_array().cloned().unwrap_or_default();
    for field in ["parents", "ancestors", "listeners"] {
        for part in status[field].as_array().into_iter().flatten() {
            all.extend(part["conditions"].as_array().cloned().unwrap_or_default());
        }
    }
    all
}

impl Drop for Case {
    fn drop(&mut self) {
        // The server first, or it starts them again.
        self.server = None;
        let run = self.dir.path().join("run");
        for envoy in fs::read_dir(run.join("envoys")).into_iter().flatten().flatten() {
            let record = fs::read(envoy.path().join("envoy.json")).unwrap_or_default();
            let record: Value = serde_json::from_slice(&record).unwrap_or_default();
            let Some(pid) = record["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()) else { continue };
            // Not a process that has come to the same id since.
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&*run.to_string_lossy()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}
