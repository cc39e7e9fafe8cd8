//! All programs together, with traffic, and a Prometheus that scrapes them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::binary::binary;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::envoy::Envoy;
use testbed::idp::{Client, Provider};
use testbed::pki::Ca;
use testbed::process::Process;
use testbed::prometheus::{self, Prometheus};
use testbed::service::{self, configuration, listening};
use testbed::tools;

use crate::edge::{Services, bootstrap};

/// Two an hour, so that the third is refused.
const LIMITS: &str = "
domain: edge
descriptors:
- key: generic_key
  value: all
  rate_limit: {unit: hour, requests_per_unit: 2}
";

const CONTROLLER: &str = "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
provider:
  type: Custom
  custom:
    resource: {type: File, file: {paths: ['DIR/resources']}}
    infrastructure: {type: Host, host: {runtimeDir: 'DIR/run'}}
admin: {address: {host: 127.0.0.1, port: 0}}
";

/// A Gateway, and a route that refers to nothing that there is.
const RESOURCES: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: edge}
spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: PORT}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lost, namespace: edge}
spec: {parentRefs: [{name: eg}], rules: [{backendRefs: [{name: nothing, port: 80}]}]}
";

/// A service of ours.
struct Service {
    _process: Process,
    admin: String,
    /// Where Envoy asks it; the controller is asked by nobody.
    grpc: String,
}

/// Everything that runs. Dropping it ends it.
pub(crate) struct House {
    pub(crate) prometheus: Prometheus,
    envoy: Envoy,
    address: SocketAddr,
    ca: Ca,
    _kept: (Vec<Service>, Echo, Provider, TempDir),
}

impl House {
    /// Starts all; `rules` are files of rules that the Prometheus evaluates.
    pub(crate) async fn start(rules: &[String]) -> Result<Self> {
        let dir = TempDir::with_prefix("dash-")?;
        let (echo, ca) = (Echo::http().name("cart").spawn().await?, Ca::new("test")?);
        let client = Client { id: "edge".into(), secret: Some("s3cret".into()), ..Client::default() };
        let provider = Provider::start(vec![client]).await?;
        fs::write(dir.path().join("limits.yaml"), LIMITS)?;
        let limits =
            start("ratelimit", dir.path(), "http: {address: '127.0.0.1:0'}\nrules: {files: ['DIR/limits.yaml']}\n")
                .await?;
        let firewall = start("waf", dir.path(), "engine: {deadline: 20s}\n").await?;
        let logins = format!(
            "http: {{address: '127.0.0.1:0'}}\ndefaultProfile: web\nprofiles: {{web: {{providers: [main]}}}}\n\
             providers: {{main: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true}}}}\n",
            provider.issuer()
        );
        let logins = start("oidc", dir.path(), &logins).await?;
        let socket = dir.path().join("log.sock");
        let services =
            Services { limits: &limits.grpc, logins: &logins.grpc, firewall: &firewall.grpc, log: Some(&socket) };
        let bootstrap = bootstrap(echo.address(), &ca.server(&["localhost"])?, &services);
        let envoy = testbed::envoy::Spec::new(bootstrap).start().await?;
        let address = envoy.listener("https").await?;
        let exporter = format!(
            "grpc: {{address: 'unix:DIR/log.sock'}}\nenvoys: {{stats: ['http://{}/stats'], interval: 1s}}\n",
            envoy.admin()
        );
        let exporter = start("exporter", dir.path(), &exporter).await?;
        let controller = start_controller(dir.path()).await?;
        let services = vec![limits, firewall, logins, exporter, controller];
        let mut scraped = prometheus::Spec::new();
        for service in &services {
            scraped = scraped.scrape(&service.admin, "/metrics", &[("namespace", "portcullis"), ("cluster", "test")]);
        }
        let labels = [("namespace", "edge"), ("cluster", "test"), ("gateway", "edge/eg")];
        scraped = scraped.scrape(&envoy.admin().to_string(), "/stats/prometheus", &labels);
        for (index, text) in rules.iter().enumerate() {
            let file = dir.path().join(format!("rules-{index}.yaml"));
            fs::write(&file, text)?;
            scraped = scraped.rules(file);
        }
        Ok(Self { prometheus: scraped.start().await?, envoy, address, ca, _kept: (services, echo, provider, dir) })
    }

    /// One request of each kind: one that is answered, and those that Envoy answers itself.
    pub(crate) async fn traffic(&self) -> Result<()> {
        let attack = "guarded?q=1%27%20OR%20%271%27%3D%271%27--%20-";
        for path in ["", "limited", "private", "guarded", attack, "gone"] {
            let request = Request::get(&format!("https://localhost/{path}")).to(self.address).ca(self.ca.pem());
            request.header("user-agent", "tests").send().await?;
        }
        Ok(())
    }

    /// What Envoy's log ends with, for messages.
    pub(crate) fn tail(&mut self) -> String {
        self.envoy.process().tail()
    }
}

/// Starts a service with settings, in which `DIR` is a directory.
async fn start(name: &str, dir: &Path, settings: &str) -> Result<Service> {
    let file = dir.join(format!("{name}.yaml"));
    fs::write(&file, configuration(dir, settings, &["admin", "grpc"]))?;
    let program = binary(name, &format!("portcullis-{name}"))?;
    let mut process = service::start(&program.display().to_string(), &file, &[])?;
    let admin = listening(&mut process, "admin").await?;
    let grpc = listening(&mut process, "grpc").await?;
    Ok(Service { _process: process, admin, grpc })
}

async fn start_controller(dir: &Path) -> Result<Service> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let file = dir.join("controller.yaml");
    fs::create_dir(dir.join("resources"))?;
    fs::write(dir.join("resources/all.yaml"), RESOURCES.replace("PORT", &port.to_string()))?;
    fs::write(&file, CONTROLLER.replace("DIR", &dir.display().to_string()))?;
    let program = binary("controller", "portcullis")?;
    let spec = testbed::process::Spec::new(program).args(["server", "--config-path"]).arg(&file);
    let mut process = spec.env("PORTCULLIS_ENVOY", tools::envoy()?).start()?;
    // Its log is text.
    let line = process.wait_for_line(PATIENCE, |line| line.contains("what=\"admin\" address=")).await?;
    let admin = line.rsplit('=').next().unwrap_or_default().to_owned();
    Ok(Service { _process: process, admin, grpc: String::new() })
}
