//! A running server with files, its Envoy, and two backends: one that answers 200, and one that answers 201.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{
    client::{Connection, Request},
    echo::Echo,
    proc,
    process::{Process, Spec},
    tools,
    wait::wait_for,
};

use crate::manifests::{self, Layout};

/// How long a server may take until all routes are served.
const START: Duration = Duration::from_secs(60);
/// How long a change may take before the benchmark gives up.
const LATEST: Duration = Duration::from_secs(20);
/// The pause between two looks at whether a change is there.
const LOOK: Duration = Duration::from_millis(1);

/// How routes are spread over files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    /// A file for each route.
    Many,
    /// One file with all routes.
    One,
}

/// A running house. Dropping it ends everything, Envoy too.
pub(crate) struct House {
    layout: Layout,
    files: Files,
    /// The version of each route.
    versions: Vec<usize>,
    server: Option<Process>,
    ordinary: Echo,
    other: Echo,
    port: u16,
    dir: TempDir,
}

impl House {
    /// Writes all files, starts the server and waits until the last route is served.
    pub(crate) async fn start(portcullis: &Path, layout: Layout, files: Files, routes: usize) -> Result<Self> {
        let (ordinary, other) = (Echo::http().spawn().await?, Echo::http().spawn().await?);
        other.answer_with(Some(201));
        let mut house = Self {
            layout,
            files,
            versions: vec![0; routes],
            server: None,
            ordinary,
            other,
            port: TcpListener::bind("0.0.0.0:0")?.local_addr()?.port(),
            dir: TempDir::with_prefix("portcullis-bench-")?,
        };
        house.write_all()?;
        let config = house.dir.path().join("standalone.yaml");
        let log = house.dir.path().join("server.log");
        let spec = Spec::new(portcullis).args(["server", "--config-path"]).arg(config);
        house.server = Some(spec.env("PORTCULLIS_ENVOY", tools::envoy()?).log_to(log).start()?);
        let request = house.request(routes - 1);
        wait_for("the last route", START, async || {
            let answer = request.send().await.ok()?;
            answer.status.is_success().then_some(())
        })
        .await
        .with_context(|| house.server.as_ref().map(Process::tail).unwrap_or_default())?;
        Ok(house)
    }

    fn write_all(&self) -> Result<()> {
        let (resources, runtime) = (self.dir.path().join("resources"), self.dir.path().join("run"));
        fs::create_dir(&resources)?;
        let config = format!(
            "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\nprovider:\n  type: Custom\n  custom:\n    \
             resource:\n      type: File\n      file:\n        paths: [{resources:?}]\n    infrastructure:\n      \
             type: Host\n      host:\n        runtimeDir: {runtime:?}\nadmin:\n  address: {{host: 127.0.0.1, port: 0}}\n"
        );
        fs::write(self.dir.path().join("standalone.yaml"), config)?;
        fs::write(self.file("gateway"), manifests::gateway(self.port))?;
        for service in 0..self.layout.services(self.versions.len()) {
            let port = self.ordinary.port();
            fs::write(self.file(&format!("s{service}")), manifests::service(service))?;
            fs::write(self.file(&format!("e{service}")), manifests::endpoint(service, port))?;
        }
        match self.files {
            Files::One => fs::write(self.file("routes"), self.all_routes())?,
            Files::Many => {
                for route in 0..self.versions.len() {
                    fs::write(self.file(&format!("r{route:05}")), self.layout.route(route, 0))?;
                }
            }
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("resources").join(format!("{name}.yaml"))
    }

    fn all_routes(&self) -> String {
        let texts = self.versions.iter().enumerate().map(|(route, version)| self.layout.route(route, *version));
        texts.collect::<Vec<_>>().join("---\n")
    }

    /// How many routes there are.
    pub(crate) fn routes(&self) -> usize {
        self.versions.len()
    }

    /// A request for a route.
    pub(crate) fn request(&self, route: usize) -> Request {
        let url = format!("http://{}{}", self.layout.host(route), manifests::path(route, self.versions[route]));
        Request::get(&url).to(self.address())
    }

    /// Where Envoy listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Gives a route another path; how long it takes from saving the file to the first answer that shows it.
    pub(crate) async fn change_route(&mut self, route: usize) -> Result<Duration> {
        self.versions[route] += 1;
        let (file, text) = match self.files {
            Files::Many => (format!("r{route:05}"), self.layout.route(route, self.versions[route])),
            Files::One => ("routes".to_owned(), self.all_routes()),
        };
        self.save_and_wait(&file, &text, &self.request(route), 200).await
    }

    /// Moves the first Service to the other backend, or back; how long it takes until the first answer shows it.
    pub(crate) async fn change_endpoint(&mut self, to_other: bool) -> Result<Duration> {
        let (backend, status) = if to_other { (&self.other, 201) } else { (&self.ordinary, 200) };
        self.save_and_wait("e0", &manifests::endpoint(0, backend.port()), &self.request(0), status).await
    }

    /// Saves as editors do, by renaming a finished file, so that nobody sees half of it.
    async fn save_and_wait(&self, file: &str, text: &str, request: &Request, status: u16) -> Result<Duration> {
        let mut connection = Connection::open(request).await?;
        let unfinished = self.dir.path().join("resources").join(".unfinished");
        let begin = Instant::now();
        fs::write(&unfinished, text)?;
        fs::rename(&unfinished, self.file(file))?;
        while connection.send(request).await?.status != status {
            anyhow::ensure!(begin.elapsed() < LATEST, "a change of {file} is not there after {LATEST:?}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(begin.elapsed())
    }

    /// The process of the server.
    pub(crate) fn server(&self) -> Result<i32> {
        Ok(self.server.as_ref().context("the server was not started")?.pid().cast_signed())
    }

    /// The process of its Envoy.
    pub(crate) fn envoy(&self) -> Result<i32> {
        let runtime = self.dir.path().join("run");
        for entry in fs::read_dir(runtime.join("envoys"))?.flatten() {
            let Ok(record) = fs::read(entry.path().join("envoy.json")) else { continue };
            let record: Value = serde_json::from_slice(&record)?;
            let pid = record["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
            let line = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            // The number may be another's by now.
            let ours = |pid: &i32| String::from_utf8_lossy(&line(pid)).contains(&*runtime.to_string_lossy());
            if let Some(pid) = pid.filter(ours) {
                return Ok(pid);
            }
        }
        anyhow::bail!("no Envoy runs")
    }

    /// What the server and its Envoy have in memory, in MiB.
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        let resident = |pid: i32| proc::mebibytes(pid, "VmRSS");
        Ok((resident(self.server()?)?, resident(self.envoy()?)?))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let envoy = self.envoy();
        // The server first, or it starts Envoy again.
        self.server = None;
        if let Ok(pid) = envoy {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
