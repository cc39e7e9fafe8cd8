//! One case: a directory of manifests, the real server on it, and what can be asked of both.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::process::{Process, Spec};
use testbed::wait::{wait_for, wait_for_value};

pub struct Case {
    dir: TempDir,
    pub server: Option<Process>,
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Case {
    pub async fn start(manifests: &[String]) -> Result<Self> {
        let dir = TempDir::with_prefix("e2e-")?;
        fs::create_dir(dir.path().join("res"))?;
        let root = dir.path().display();
        let port = free_port();
        fs::write(
            dir.path().join("config.yaml"),
            format!(
                "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\n\
                 gateway: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}\n\
                 provider:\n  type: Custom\n  custom:\n    resource: {{type: File, file: {{paths: ['{root}/res']}}}}\n    \
                 infrastructure: {{type: Host, host: {{runtimeDir: '{root}/run'}}}}\n\
                 admin: {{address: {{host: 127.0.0.1, port: {port}}}}}\n\
                 extensionApis: {{enableBackend: true, enableEnvoyPatchPolicy: true}}\n"
            ),
        )?;
        let mut case = Self { dir, server: None };
        case.write("main", &manifests.concat())?;
        case.restart()?;
        Ok(case)
    }

    pub fn restart(&mut self) -> Result<()> {
        self.server = None;
        self.server = Some(
            Spec::new(env!("CARGO_BIN_EXE_portcullis"))
                .args(["server", "--config-path"])
                .arg(self.dir.path().join("config.yaml"))
                .arg("--envoy-path")
                .arg(testbed::tools::envoy()?)
                .start()?,
        );
        Ok(())
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("res/{name}.yaml"))
    }

    pub fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let new = self.dir.path().join(format!("{name}.new"));
        fs::write(&new, text)?;
        Ok(fs::rename(new, self.file(name))?)
    }

    pub fn remove(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.file(name))?)
    }

    pub fn envoy_socket(&self, fleet: &str) -> PathBuf {
        self.dir.path().join("run/envoys").join(fleet.replace('/', "_")).join("admin.sock")
    }

    pub async fn envoy(&self, fleet: &str, path: &str) -> Result<String> {
        Ok(Request::get(&format!("http://localhost{path}")).to(self.envoy_socket(fleet)).send().await?.text())
    }

    pub async fn envoy_pid(&self) -> Result<i32> {
        let answer: Value = self.ask("/api/envoys").await?;
        let pid = answer["processes"].as_object().and_then(|all| all.values().next()?["pid"].as_i64());
        Ok(i32::try_from(pid.context("no Envoy runs")?)?)
    }

    pub async fn ask(&self, path: &str) -> Result<Value> {
        Request::get(&format!("http://localhost{path}")).to(self.dir.path().join("run/admin.sock")).send().await?.json()
    }

    pub async fn status(&self, kind: &str, name: &str) -> Result<Value> {
        let all = self.ask("/api/resources").await?;
        let found = all["items"].as_array().into_iter().flatten().find(|item| item["kind"] == kind && item["metadata"]["name"] == name);
        Ok(found.with_context(|| format!("no {kind} {name} in {all}"))?["status"].clone())
    }

    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let mut last = String::new();
        let waited = wait_for(what, PATIENCE, async || match holds().await {
            Ok(true) => Some(()),
            Ok(false) => { last = "it does not hold".to_owned(); None }
            Err(error) => { last = format!("{error:#}"); None }
        }).await;
        if let Err(error) = waited {
            let tail = self.server.as_ref().map(Process::tail).unwrap_or_default();
            let all = self.ask("/api/resources").await.map(|all| format!("{all:#}")).unwrap_or_default();
            bail!("{error:#}: {last}\n{all}\n{tail}");
        }
        Ok(())
    }

    async fn find(&self, kind: &str, name: &str, condition: &str, field: &str, wanted: &str) -> Result<()> {
        let what = format!("{condition} of {kind} {name}");
        let seen = wait_for_value(&what, PATIENCE, &Some(wanted.to_owned()), async || {
            let status = self.status(kind, name).await.ok()?;
            let all = conditions(&status);
            all.into_iter().find(|found| found["type"] == condition && found[field] == wanted).or_else(|| conditions(&status).into_iter().find(|found| found["type"] == condition)).and_then(|found| found[field].as_str().map(str::to_owned))
        }).await;
        match seen {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error:#}\n{:#}", self.status(kind, name).await.unwrap_or_default()),
        }
    }

    pub async fn condition(&self, kind: &str, name: &str, condition: &str, status: &str) -> Result<()> {
        self.find(kind, name, condition, "status", status).await
    }

    pub async fn reason(&self, kind: &str, name: &str, condition: &str, reason: &str) -> Result<()> {
        self.find(kind, name, condition, "reason", reason).await
    }

    pub async fn programmed(&self, gateway: &str) -> Result<()> {
        self.condition("Gateway", gateway, "Programmed", "True").await
    }

    pub async fn attached(&self, gateway: &str, listener: &str, routes: u64) -> Result<()> {
        wait_for_value(&format!("routes of {listener}"), PATIENCE, &Some(routes), async || {
            let status = self.status("Gateway", gateway).await.ok()?;
            let listeners = status["listeners"].as_array()?.clone();
            listeners.iter().find(|found| found["name"] == listener)?["attachedRoutes"].as_u64()
        }).await
    }

    pub async fn stop(mut self) -> Result<TempDir> {
        let server = self.server.take().context("no server")?;
        let status = server.terminate(PATIENCE).await?;
        anyhow::ensure!(status.success(), "{status}");
        Ok(std::mem::replace(&mut self.dir, TempDir::new()?))
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
        // Envoys outlive a controller that is killed: end those of this directory.
        self.server = None;
        let envoys = fs::read_dir(self.dir.path().join("run/envoys")).into_iter().flatten().flatten();
        for envoy in envoys {
            let record = fs::read(envoy.path().join("envoy.json")).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            if let Some(pid) = record.and_then(|record| i32::try_from(record["pid"].as_i64()?).ok()) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}
