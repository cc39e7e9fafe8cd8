//! A running server with its files, its Envoys and a backend.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result};
use http::StatusCode;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{
    PATIENCE,
    client::{Request, Response},
    echo::Echo,
    process::{Process, Spec},
    tools,
    wait::wait_for,
};

/// The program under test.
pub(crate) const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// A running server. Dropping it ends everything, the Envoys too.
pub(crate) struct House {
    pub(crate) server: Option<Process>,
    pub(crate) backend: Echo,
    /// The port of the first Gateway.
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
}

impl House {
    /// The quickstart, on ports of its own, and waits until it serves.
    pub(crate) async fn quickstart() -> Result<Self> {
        let mut house = Self::unstarted().await?;
        house.start()?;
        house.wait_until_it_serves("www.example.com").await?;
        Ok(house)
    }

    /// The files of the quickstart and a backend; the server is not started.
    pub(crate) async fn unstarted() -> Result<Self> {
        let dir = TempDir::with_prefix("pc-")?;
        let house = Self { server: None, backend: Echo::http().name("a").spawn().await?, port: free_port()?, dir };
        fs::create_dir(house.resources())?;
        fs::write(house.config(), house.config_text())?;
        house.write("gateway.yaml", &gateway("eg", house.port));
        house.write("backend.yaml", &backend("backend", house.backend.address()));
        house.write("route.yaml", &route("backend", "www.example.com", ""));
        Ok(house)
    }

    fn config_text(&self) -> String {
        format!(
            "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\nprovider:\n  type: Custom\n  custom:\n    \
             resource:\n      type: File\n      file:\n        paths: [{:?}]\n    infrastructure:\n      type: Host\n      \
             host:\n        runtimeDir: {:?}\nadmin:\n  address: {{host: 127.0.0.1, port: 0}}\n\
             extensionApis: {{enableBackend: true}}\n",
            self.resources(),
            self.runtime(),
        )
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("standalone.yaml")
    }

    pub(crate) fn resources(&self) -> PathBuf {
        self.dir.path().join("resources")
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Writes a file of resources in place, as editors that keep the inode do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.resources().join(name), text).expect("the directory is there");
    }

    /// Starts the server; one that was killed is started again.
    pub(crate) fn start(&mut self) -> Result<()> {
        let log = self.dir.path().join(format!("server-{}.log", self.logs()));
        let spec = Spec::new(PORTCULLIS).args(["server", "--config-path"]).arg(self.config());
        self.server = Some(spec.env("PORTCULLIS_ENVOY", tools::envoy()?).log_to(log).start()?);
        Ok(())
    }

    fn logs(&self) -> usize {
        fs::read_dir(self.dir.path()).into_iter().flatten().count()
    }

    /// Asks the Gateway.
    pub(crate) async fn ask(&self, host: &str, path: &str) -> Result<Response> {
        let target = SocketAddr::from(([127, 0, 0, 1], self.port));
        Request::get(&format!("http://{host}{path}")).to(target).send().await
    }

    /// Asks the Gateway until it answers so; how long that took.
    pub(crate) async fn wait_for_status(&self, host: &str, path: &str, wanted: u16) -> Result<Duration> {
        let begin = std::time::Instant::now();
        let wanted = StatusCode::from_u16(wanted)?;
        let what = format!("{wanted} from {host}{path}");
        wait_for(&what, PATIENCE, async || self.ask(host, path).await.ok().filter(|answer| answer.status == wanted))
            .await
            .with_context(|| self.server.as_ref().map(Process::tail).unwrap_or_default())?;
        Ok(begin.elapsed())
    }

    pub(crate) async fn wait_until_it_serves(&self, host: &str) -> Result<Duration> {
        self.wait_for_status(host, "/", 200).await
    }

    /// Runs `portcullis status` with these arguments.
    pub(crate) fn status(&self, args: &[&str]) -> Output {
        let mut command = Command::new(PORTCULLIS);
        command.arg("status").args(args).arg("--config-path").arg(self.config());
        command.output().expect("the program was built")
    }

    /// The status of all resources, as JSON.
    pub(crate) fn statuses(&self) -> Value {
        serde_json::from_slice(&self.status(&["-o", "json"]).stdout).unwrap_or_default()
    }

    /// One condition of a resource or of its first parent, once it is so: status and message.
    pub(crate) async fn wait_for_condition(&self, resource: (&str, &str), name: &str, status: &str) -> Result<String> {
        let (kind, resource) = resource;
        let what = format!("{name}={status} of {kind} {resource}");
        let found = wait_for(&what, PATIENCE, async || {
            let all = self.statuses();
            let item = all["items"]
                .as_array()?
                .iter()
                .find(|item| item["kind"] == kind && item["metadata"]["name"] == resource)?;
            let own = item["status"]["conditions"].as_array().into_iter().flatten();
            let parents = item["status"]["parents"].as_array().into_iter().flatten();
            let all = own.chain(parents.filter_map(|parent| parent["conditions"].as_array()).flatten());
            let mut fitting = all.filter(|condition| condition["type"] == name && condition["status"] == status);
            fitting.next().and_then(|condition| Some(condition["message"].as_str()?.to_owned()))
        });
        found.await.with_context(|| format!("{:#}", self.statuses()))
    }

    /// The process ids of the Envoys, by their directory.
    pub(crate) fn envoys(&self) -> BTreeMap<String, i32> {
        envoys(&self.runtime())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // The server first, or it starts them again.
        self.server = None;
        for pid in self.envoys().into_values() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The Envoys that run from a runtime directory: those whose command line names it.
pub(crate) fn envoys(runtime: &Path) -> BTreeMap<String, i32> {
    let entries = fs::read_dir(runtime.join("envoys")).into_iter().flatten().flatten();
    let running = entries.filter_map(|entry| {
        let record: Value = serde_json::from_slice(&fs::read(entry.path().join("envoy.json")).ok()?).ok()?;
        let pid = i32::try_from(record["pid"].as_i64()?).ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = String::from_utf8_lossy(&line).contains(&*runtime.to_string_lossy());
        ours.then(|| (entry.file_name().to_string_lossy().into_owned(), pid))
    });
    running.collect()
}

/// A class and a Gateway with one HTTP listener.
pub(crate) fn gateway(name: &str, port: u16) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {{name: eg}}\nspec: {{controllerName: \
         gateway.envoyproxy.io/gatewayclass-controller}}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
         metadata: {{name: {name}}}\nspec:\n  gatewayClassName: eg\n  listeners:\n  - {{name: http, protocol: HTTP, \
         port: {port}}}\n"
    )
}

/// A `Backend` at an address.
pub(crate) fn backend(name: &str, address: SocketAddr) -> String {
    format!(
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {{name: {name}}}\nspec:\n  endpoints:\n  \
         - ip: {{address: {}, port: {}}}\n",
        address.ip(),
        address.port(),
    )
}

/// A route of one host to the backend; `rule` is put into its rule.
pub(crate) fn route(name: &str, host: &str, rule: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec:\n  parentRefs: [{{name: \
         eg}}]\n  hostnames: [{host}]\n  rules:\n  - backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: \
         backend}}]\n{rule}"
    )
}

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("0.0.0.0:0")?.local_addr()?.port())
}
