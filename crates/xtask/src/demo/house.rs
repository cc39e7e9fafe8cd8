//! The processes of the demo: started in order, stopped in the opposite one, none left behind.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use testbed::process::{Process, Spec};

use super::ports::Ports;
use super::{quickstart, requests};

/// How long the server may take to drain and to stop its Envoy.
const STOP: Duration = Duration::from_secs(30);

/// What runs. Dropping it kills it.
pub(super) struct House {
    server: Process,
    backend: Process,
    limits: Process,
    logins: Process,
    provider: Process,
    firewall: Process,
    exporter: Process,
    ports: Ports,
    dir: TempDir,
    begin: Instant,
}

/// What is started.
pub(super) struct Programs<'a> {
    pub(super) server: &'a Path,
    pub(super) backend: &'a Path,
    pub(super) limits: &'a Path,
    pub(super) logins: &'a Path,
    pub(super) provider: &'a Path,
    pub(super) firewall: &'a Path,
    pub(super) exporter: &'a Path,
    pub(super) envoy: &'a Path,
}

impl House {
    pub(super) fn start(programs: &Programs<'_>, ports: Ports) -> Result<Self> {
        Self::start_with(programs, ports, "")
    }

    /// With more resources, as YAML.
    pub(super) fn start_with(programs: &Programs<'_>, ports: Ports, resources: &str) -> Result<Self> {
        let begin = Instant::now();
        let dir = TempDir::with_prefix("portcullis-demo-")?;
        let files = quickstart::copy_to(dir.path(), ports)?;
        std::fs::write(dir.path().join("resources/more.yaml"), resources)?;
        eprintln!("▸ starting backend, services, an identity provider, server and Envoy …");
        let listen = format!("127.0.0.1:{}", ports.backend);
        let backend =
            Spec::new(programs.backend).args(["--listen", &listen]).log_to(dir.path().join("backend.log")).start()?;
        let server = Spec::new(programs.server)
            .args(["server", "--config-path"])
            .arg(&files.server)
            .env("PORTCULLIS_ENVOY", programs.envoy)
            .current_dir(dir.path())
            .log_to(dir.path().join("server.log"))
            .start()?;
        let limits = Spec::new(programs.limits)
            .arg("--config-path")
            .arg(&files.limits)
            .log_to(dir.path().join("ratelimit.log"))
            .start()?;
        let listen = format!("127.0.0.1:{}", ports.provider);
        let provider =
            Spec::new(programs.provider).args(["--listen", &listen]).log_to(dir.path().join("idp.log")).start()?;
        let logins = Spec::new(programs.logins)
            .arg("--config-path")
            .arg(&files.logins)
            .log_to(dir.path().join("oidc.log"))
            .start()?;
        let firewall = Spec::new(programs.firewall)
            .arg("--config-path")
            .arg(&files.firewall)
            .log_to(dir.path().join("waf.log"))
            .start()?;
        let exporter = Spec::new(programs.exporter)
            .arg("--config-path")
            .arg(&files.exporter)
            .log_to(dir.path().join("exporter.log"))
            .start()?;
        Ok(Self { server, backend, limits, logins, provider, firewall, exporter, ports, dir, begin })
    }

    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// Where Envoy answers for itself.
    pub(super) fn envoy_admin(&self) -> PathBuf {
        self.dir.path().join("run/envoys/default_eg/admin.sock")
    }

    /// Waits for the first right answer through the gateway.
    pub(super) async fn wait_until_it_serves(&mut self, deadline: Duration) -> Result<()> {
        let ports = self.ports;
        let served = testbed::wait::wait_for("the first answer", deadline, async || {
            if let Some(end) = self.end() {
                return Some(Err(end));
            }
            requests::serves(ports).await.then_some(Ok(()))
        });
        match served.await {
            Ok(Ok(())) => eprintln!("  serving after {:.1} s", self.begin.elapsed().as_secs_f64()),
            Ok(Err(end)) => bail!("{end}"),
            Err(late) => return Err(late).with_context(|| self.last_words()),
        }
        Ok(())
    }

    /// Says where to look.
    pub(super) fn describe(&self) {
        println!("\nadmin page   http://127.0.0.1:{}/", self.ports.admin);
        println!("resources    {} (edit a file and try again)", self.dir.path().join("resources").display());
        println!("logs         {}", self.server.log_path().display());
        println!("             {}", self.limits.log_path().display());
        println!("             {}", self.logins.log_path().display());
        println!("             {}", self.firewall.log_path().display());
        println!("             {}", self.exporter.log_path().display());
        println!("             {}", self.backend.log_path().display());
        println!("status       portcullis status --config-path {}", self.dir.path().join("standalone.yaml").display());
        println!("\nOpen this page to see what every route does: http://127.0.0.1:{}/", self.ports.page);
        println!("\nCtrl-C stops everything.");
    }

    /// Waits until something ends that should not, and says what.
    pub(super) async fn wait_for_an_end(&mut self) -> String {
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn end(&mut self) -> Option<String> {
        let all = [
            ("server", &mut self.server),
            ("backend", &mut self.backend),
            ("rate limit service", &mut self.limits),
            ("single sign-on service", &mut self.logins),
            ("identity provider", &mut self.provider),
            ("firewall", &mut self.firewall),
            ("exporter", &mut self.exporter),
        ];
        for (name, process) in all {
            if let Some(status) = process.exited() {
                return Some(format!("the {name} ended ({status}):\n{}", process.tail()));
            }
        }
        None
    }

    fn last_words(&self) -> String {
        format!("the server's log:\n{}\n", self.server.tail())
    }

    /// Asks everything to end, the server first, so that its Envoy can still finish what is in flight.
    pub(super) async fn stop(self) -> Result<()> {
        eprintln!("▸ stopping …");
        let begin = Instant::now();
        self.server.terminate(STOP).await?;
        self.limits.terminate(STOP).await?;
        self.logins.terminate(STOP).await?;
        self.provider.terminate(STOP).await?;
        self.firewall.terminate(STOP).await?;
        self.exporter.terminate(STOP).await?;
        self.backend.terminate(STOP).await?;
        eprintln!("  stopped after {:.1} s", begin.elapsed().as_secs_f64());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that does what a line of shell says, whatever its arguments.
    fn program(dir: &TempDir, name: &str, line: &str) -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The directory of the programs must outlive them.
    fn house(server: &str) -> (House, TempDir) {
        let dir = TempDir::new().unwrap();
        let (server, other) = (program(&dir, "server", server), program(&dir, "other", "exec sleep 1000"));
        let programs = Programs {
            server: &server,
            backend: &other,
            limits: &other,
            logins: &other,
            provider: &other,
            firewall: &other,
            exporter: &other,
            envoy: Path::new("envoy"),
        };
        let house = House::start(&programs, Ports::any().claim().unwrap()).unwrap();
        (house, dir)
    }

    #[tokio::test]
    async fn a_server_that_ends_early_is_told_with_its_log() {
        let (mut house, _programs) = house("echo no such field; exit 2");
        let error = house.wait_until_it_serves(testbed::PATIENCE).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the server ended (exit status: 2)") && text.contains("no such field"), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_never_serves_is_told_with_its_log() {
        let (mut house, _programs) = house("echo waiting for nothing; exec sleep 1000");
        house.server.wait_for_line(testbed::PATIENCE, |line| line.contains("nothing")).await.unwrap();
        let error = house.wait_until_it_serves(Duration::ZERO).await.unwrap_err();
        assert!(format!("{error:#}").contains("waiting for nothing"), "{error:#}");
    }

    #[tokio::test]
    async fn nothing_is_left_after_a_stop() {
        let (house, _programs) = house("exec sleep 1000");
        let all = [
            &house.server,
            &house.backend,
            &house.limits,
            &house.logins,
            &house.provider,
            &house.firewall,
            &house.exporter,
        ];
        let pids = all.map(Process::pid);
        let dir = house.dir.path().to_owned();
        house.stop().await.unwrap();
        assert!(pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
        assert!(!dir.exists());
    }
}
