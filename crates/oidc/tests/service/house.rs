//! A running service with its provider, an Envoy before it and a backend behind.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::echo::Echo;
use testbed::envoy::Envoy;
use testbed::idp::{Client, Provider};
use testbed::process::Process;
use testbed::service::{self, configuration, field, listening};
use testbed::wait::wait_until;

use crate::edge;
use testbed::client::Browser;

/// A running service. Dropping it ends it.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Where Envoy asks.
    pub(crate) grpc: String,
    /// Its HTTP port.
    pub(crate) http: String,
    /// Its admin port.
    pub(crate) admin: String,
    pub(crate) dir: TempDir,
}

/// What everybody logs in to in these tests, unless a test says otherwise.
pub(crate) const WEB: &str = "
profiles:
  web:
    providers: [main]
    upstream: {headers: {x-user: sub, x-email: email, x-groups: groups}}
";

/// All that a login needs.
pub(crate) struct House {
    pub(crate) provider: Arc<Provider>,
    pub(crate) service: Service,
    pub(crate) envoy: Envoy,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) backend: Echo,
}

/// Who is logged in at the provider.
pub(crate) fn ann() -> Value {
    json!({ "sub": "ann", "email": "ann@example.com", "email_verified": true, "groups": ["people", "ops"] })
}

/// The client that we are at the provider.
pub(crate) fn client() -> Client {
    Client { id: "edge".into(), secret: Some("s3cret".into()), ..Client::default() }
}

/// The part of the configuration that says where the provider is.
pub(crate) fn main_provider(provider: &Provider) -> String {
    format!(
        "providers:\n  main: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true}}\n",
        provider.issuer()
    )
}

impl House {
    /// A house whose service has these settings beside the provider `main`.
    pub(crate) async fn start(settings: &str) -> Self {
        let provider = provider().await;
        let settings = format!("{}defaultProfile: web\n{settings}", main_provider(&provider));
        Self::with(provider, &settings).await
    }

    /// A house around a provider.
    pub(crate) async fn with(provider: Arc<Provider>, settings: &str) -> Self {
        let service = Service::start(settings).await.reached().await;
        let backend = Echo::http().name("app").spawn().await.unwrap();
        let (envoy, address) = edge::start(&service.grpc, backend.address()).await;
        Self { provider, service, envoy, address, backend }
    }

    /// A browser that knows this house.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser that is logged in at `app.example`.
    pub(crate) async fn logged_in(&self) -> Browser {
        let mut browser = self.browser();
        let answer = browser.open("https://app.example/").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        browser
    }
}

/// A provider at which ann is logged in.
pub(crate) async fn provider() -> Arc<Provider> {
    let provider = Provider::start(vec![client()]).await.unwrap();
    provider.log_in_as(&ann());
    Arc::new(provider)
}

impl Service {
    /// Starts it with settings (YAML).
    pub(crate) async fn start(settings: &str) -> Self {
        Self::start_in(TempDir::with_prefix("oidc-").unwrap(), settings).await
    }

    /// Starts it with files of its own; `DIR` in the settings is their directory.
    pub(crate) async fn start_in(dir: TempDir, settings: &str) -> Self {
        let file = dir.path().join("oidc.yaml");
        fs::write(&file, Self::text(&dir, settings)).unwrap();
        let mut process =
            service::start(env!("CARGO_BIN_EXE_portcullis-oidc"), &file, &["--log-level", "info,oidc=debug"]).unwrap();
        let admin = listening(&mut process, "admin").await.unwrap();
        let http = listening(&mut process, "http").await.unwrap();
        let grpc = listening(&mut process, "grpc").await.unwrap();
        Self { process, grpc, http, admin, dir }
    }

    fn text(dir: &TempDir, settings: &str) -> String {
        configuration(dir.path(), settings, &["grpc", "http", "admin"])
    }

    /// Writes other settings.
    pub(crate) fn configure(&self, settings: &str) {
        fs::write(self.dir.path().join("oidc.yaml"), Self::text(&self.dir, settings)).unwrap();
    }

    /// Waits until it is ready and has learnt what its providers publish.
    pub(crate) async fn reached(self) -> Self {
        let ready = async || {
            let asked = self
                .metrics("oidc_provider_seconds_count")
                .await
                .iter()
                .any(|(series, count)| series.contains("keys") && *count > 0.0);
            asked && self.page("/readyz").await.contains("\"ready\":true")
        };
        wait_until("the service to be ready", PATIENCE, ready).await.unwrap();
        self
    }

    /// The text of a page of the admin port.
    pub(crate) async fn page(&self, path: &str) -> String {
        service::page(&self.admin, path).await.unwrap()
    }

    /// All series of a metric.
    pub(crate) async fn metrics(&self, name: &str) -> Vec<(String, f64)> {
        let text = self.page("/metrics").await;
        let of_it = text.lines().filter(|line| line.starts_with(name));
        of_it
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// The sum of the series of a metric that have all of these labels.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let all = self.metrics(name).await;
        let wanted = all.iter().filter(|(series, _)| labels.iter().all(|label| series.contains(label)));
        let sum: f64 = wanted.map(|(_, value)| value).sum();
        // The sum of nothing is -0.
        format!("{:.0}", sum + 0.0).parse().unwrap()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for an audit line of an event.
    pub(crate) async fn audited(&self, event: &str) -> Value {
        let found = async || {
            let log = self.log();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["target"] == "audit" && field(line, "event") == Some(event))
        };
        testbed::wait::wait_for(event, PATIENCE, found).await.unwrap()
    }
}
