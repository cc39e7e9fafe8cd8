//! All programs together, and a Prometheus that scrapes them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::binary::binary;
use testbed::client::{Browser, Request};
use testbed::cluster::{Channel, Cluster};
use testbed::echo::Echo;
use testbed::envoy::Envoy;
use testbed::idp::{Client, Provider};
use testbed::pki::Ca;
use testbed::process::Process;
use testbed::prometheus::{self, Prometheus};
use testbed::redis::{self, Redis};
use testbed::service::{self, configuration, listening};
use testbed::tools;

use crate::edge::{NOBODY, Services, bootstrap};
use crate::settings::{
    CLUSTER_CONTROLLER, CONTROLLER, EXPORTER, FIREWALL, LIMITER, LIMITS, LOGINS, OBJECTS, PROFILE, RESOURCES,
    TOLD_LIMITER,
};

/// A service of ours.
pub(crate) struct Service {
    process: Process,
    pub(crate) admin: String,
    /// Where Envoy asks it; the controller is asked by nobody.
    grpc: String,
    /// Its HTTP port, where it has one.
    pub(crate) http: Option<String>,
    /// Its file.
    pub(crate) file: PathBuf,
}

/// A controller of a cluster in which nothing runs, and that cluster.
struct InCluster {
    controller: Service,
    _cluster: Cluster,
}

/// Everything that runs. Dropping it ends it.
pub(crate) struct House {
    pub(crate) prometheus: Prometheus,
    pub(crate) provider: Provider,
    pub(crate) redis: Redis,
    pub(crate) limits: Service,
    pub(crate) logins: Service,
    pub(crate) firewall: Service,
    pub(crate) exporter: Service,
    pub(crate) controller: Service,
    /// One that the controller tells what to limit.
    _told: Service,
    _cluster: InCluster,
    envoy: Envoy,
    /// With TLS, and without.
    addresses: [SocketAddr; 2],
    /// Where connections are passed on to somebody, and to nobody.
    pub(crate) passing_on: [SocketAddr; 2],
    ca: Ca,
    dir: TempDir,
    _backend: Echo,
    /// A port that the controller's Envoy cannot have.
    _taken: TcpListener,
}

impl House {
    /// Starts all; `rules` are files of rules that the Prometheus evaluates.
    pub(crate) async fn start(rules: &[String]) -> Result<Self> {
        let dir = TempDir::with_prefix("dash-")?;
        let (echo, ca) = (Echo::http().name("cart").spawn().await?, Ca::new("test")?);
        let client = Client { id: "edge".into(), secret: Some("s3cret".into()), ..Client::default() };
        let (provider, redis) = (Provider::start(vec![client]).await?, redis::Spec::new().start().await?);
        fs::write(dir.path().join("limits.yaml"), LIMITS)?;
        fs::create_dir(dir.path().join("profiles"))?;
        fs::write(dir.path().join("profiles/edge.yaml"), PROFILE)?;
        fs::write(dir.path().join("key"), "0123456789abcdef0123456789abcdef0123456789abcdef")?;
        let at = |settings: &str| {
            settings.replace("REDIS", &redis.address().to_string()).replace("ISSUER", &provider.issuer())
        };
        let limits = start("ratelimit", dir.path(), &at(LIMITER)).await?;
        let firewall = start("waf", dir.path(), FIREWALL).await?;
        let logins = start("oidc", dir.path(), &at(LOGINS)).await?;
        let socket = dir.path().join("log.sock");
        let services =
            Services { limits: &limits.grpc, logins: &logins.grpc, firewall: &firewall.grpc, log: Some(&socket) };
        let bootstrap = bootstrap(echo.address(), &ca.server(&["localhost"])?, &services);
        let envoy = testbed::envoy::Spec::new(bootstrap).start().await?;
        let addresses = [envoy.listener("https").await?, envoy.listener("http").await?];
        let passing_on = [envoy.listener("tcp").await?, envoy.listener("nowhere").await?];
        let settings = EXPORTER.replace("ENVOY", &envoy.admin().to_string()).replace("NOBODY", NOBODY);
        let exporter = start("exporter", dir.path(), &settings).await?;
        let taken = TcpListener::bind("0.0.0.0:0")?;
        let controller = start_controller(dir.path(), taken.local_addr()?.port()).await?;
        let told = start_as("told-ratelimit", "ratelimit", dir.path(), TOLD_LIMITER).await?;
        let cluster = start_in_cluster(dir.path()).await?;
        let mut scraped = prometheus::Spec::new();
        for service in [&limits, &firewall, &logins, &exporter, &controller, &told, &cluster.controller] {
            scraped = scraped.scrape(&service.admin, "/metrics", &[("namespace", "portcullis"), ("cluster", "test")]);
        }
        let labels = [("namespace", "edge"), ("cluster", "test"), ("gateway", "edge/eg")];
        scraped = scraped.scrape(&envoy.admin().to_string(), "/stats/prometheus", &labels);
        for (index, text) in rules.iter().enumerate() {
            let file = dir.path().join(format!("rules-{index}.yaml"));
            fs::write(&file, text)?;
            scraped = scraped.rules(file);
        }
        let prometheus = scraped.start().await?;
        Ok(Self {
            prometheus,
            provider,
            redis,
            limits,
            logins,
            firewall,
            exporter,
            controller,
            _told: told,
            _cluster: cluster,
            envoy,
            addresses,
            passing_on,
            ca,
            dir,
            _backend: echo,
            _taken: taken,
        })
    }

    /// A request with TLS.
    pub(crate) fn request(&self, path: &str) -> Request {
        let request = Request::get(&format!("https://localhost/{path}")).to(self.addresses[0]).ca(self.ca.pem());
        request.header("user-agent", "tests")
    }

    /// A request without TLS.
    pub(crate) fn plain(&self, url: &str) -> Request {
        Request::get(url).to(self.addresses[1]).header("user-agent", "tests")
    }

    /// A browser, which comes without TLS.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.addresses[1])
    }

    /// Where the Envoy that the controller has started answers for itself.
    pub(crate) fn envoy_of_controller(&self) -> PathBuf {
        self.dir.path().join("run/envoys/edge_eg/admin.sock")
    }

    /// What Envoy's log ends with, for messages.
    pub(crate) fn tail(&mut self) -> String {
        self.envoy.process().tail()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Envoys outlive their controller, which starts them again while it lives.
        let _ = self.controller.process.kill();
        let run = self.dir.path().join("run");
        let record = fs::read(run.join("envoys/edge_eg/envoy.json")).unwrap_or_default();
        let record: Value = serde_json::from_slice(&record).unwrap_or_default();
        let Some(pid) = record["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()) else { return };
        // Not a process that has come to the same id since.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&*run.to_string_lossy()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Starts a service with settings, in which `DIR` is a directory.
async fn start(name: &str, dir: &Path, settings: &str) -> Result<Service> {
    start_as(name, name, dir, settings).await
}

/// The same with the name of its file.
async fn start_as(file: &str, name: &str, dir: &Path, settings: &str) -> Result<Service> {
    let file = dir.join(format!("{file}.yaml"));
    fs::write(&file, configuration(dir, settings, &["admin", "grpc"]))?;
    let program = binary(name, &format!("portcullis-{name}"))?;
    let mut process = service::start(&program.display().to_string(), &file, &[])?;
    let admin = listening(&mut process, "admin").await?;
    let by_http = settings.lines().any(|line| line.starts_with("http:"));
    let http = if by_http { Some(listening(&mut process, "http").await?) } else { None };
    let grpc = listening(&mut process, "grpc").await?;
    Ok(Service { process, admin, grpc, http, file })
}

async fn start_controller(dir: &Path, taken: u16) -> Result<Service> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let file = dir.join("controller.yaml");
    fs::create_dir(dir.join("resources"))?;
    let resources = RESOURCES.replace("PORT", &port.to_string()).replace("TAKEN", &taken.to_string());
    fs::write(dir.join("resources/all.yaml"), resources)?;
    fs::write(&file, CONTROLLER.replace("DIR", &dir.display().to_string()))?;
    let server = server()?.arg(&file).env("PORTCULLIS_ENVOY", tools::envoy()?);
    controller(server, file).await
}

/// As its guide has it: definitions, then our manifests, then a Gateway. The controller runs beside the cluster.
async fn start_in_cluster(dir: &Path) -> Result<InCluster> {
    const INSTALL: &str = include_str!("../../../../install/install.yaml");
    let cluster = Cluster::api_only().start().await?;
    cluster.install_gateway_api(Channel::Standard).await?;
    cluster.apply(INSTALL).await?;
    cluster.wait(&["--for=condition=Established", "crd", "--all"]).await?;
    cluster.apply(OBJECTS).await?;
    let file = dir.join("cluster.yaml");
    fs::write(&file, CLUSTER_CONTROLLER)?;
    let certificates = certificates(&dir.join("certs"))?;
    let server = server()?.arg(&file).args(["--xds-address", "127.0.0.1:0"]);
    let server = server.arg("--certs").arg(certificates.join("server")).arg("--authority").arg(&certificates);
    let server = server.env("KUBECONFIG", cluster.kubeconfig()).env("TMPDIR", dir);
    let server = server.env("ENVOY_GATEWAY_NAMESPACE", "envoy-gateway-system");
    Ok(InCluster { controller: controller(server, file).await?, _cluster: cluster })
}

/// A directory with the server's certificates, which is that of their authority, too.
fn certificates(dir: &Path) -> Result<PathBuf> {
    let made = Command::new(binary("controller", "portcullis")?).args(["certgen", "--dir"]).arg(dir).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for kind in ["crt", "key"] {
        fs::copy(dir.join(format!("ca.{kind}")), dir.join(format!("tls.{kind}")))?;
    }
    Ok(dir.to_owned())
}

fn server() -> Result<testbed::process::Spec> {
    let program = binary("controller", "portcullis")?;
    Ok(testbed::process::Spec::new(program).args(["server", "--config-path"]))
}

async fn controller(server: testbed::process::Spec, file: PathBuf) -> Result<Service> {
    let mut process = server.start()?;
    // Its log is text.
    let line = process.wait_for_line(PATIENCE, |line| line.contains("what=\"admin\" address=")).await?;
    let admin = line.rsplit('=').next().context("it says where")?.to_owned();
    Ok(Service { process, admin, grpc: String::new(), http: None, file })
}
