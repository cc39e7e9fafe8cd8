//! A running service with its files.

use std::fs;
use std::path::PathBuf;

use ::envoy::ext::shared::ratelimit::RateLimitDescriptor;
use ::envoy::ext::shared::ratelimit::rate_limit_descriptor::Entry;
use ::envoy::service::ratelimit::rate_limit_response::Code;
use ::envoy::service::ratelimit::rate_limit_service_client::RateLimitServiceClient;
use ::envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use kit::reload::Reloading;
use kit::tls::{ClientSettings, Protocols, client_config};
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::process::Process;
use testbed::service::{self, configuration, listening};
use tonic::transport::Channel;

/// Each user has one request a year.
pub(crate) const ONE_A_YEAR: &str = "
domain: edge
descriptors:
- key: user
  rate_limit: {unit: year, requests_per_unit: 1}
";

/// A running service. Dropping it ends it.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Where Envoy asks.
    pub(crate) grpc: String,
    /// Its admin port.
    pub(crate) admin: String,
    dir: TempDir,
}

impl Service {
    /// Starts it with rules and more settings (YAML lines).
    pub(crate) async fn start(rules: &str, settings: &str) -> Self {
        let dir = TempDir::with_prefix("rl-").unwrap();
        fs::create_dir(dir.path().join("rules")).unwrap();
        fs::write(dir.path().join("rules/edge.yaml"), rules).unwrap();
        let settings = format!("rules: {{files: [{:?}]}}\n{settings}", dir.path().join("rules"));
        Self::start_in(dir, &settings).await
    }

    /// Starts it with settings that say where rules come from.
    pub(crate) async fn start_bare(settings: &str) -> Self {
        Self::start_in(TempDir::with_prefix("rl-").unwrap(), settings).await
    }

    async fn start_in(dir: TempDir, settings: &str) -> Self {
        let file = dir.path().join("ratelimit.yaml");
        fs::write(&file, configuration(dir.path(), settings, &["grpc", "http", "admin"])).unwrap();
        let mut process = service::start(env!("CARGO_BIN_EXE_portcullis-ratelimit"), &file, &[]).unwrap();
        let admin = listening(&mut process, "admin").await.unwrap();
        let grpc = listening(&mut process, "grpc").await.unwrap();
        Self { process, grpc, admin, dir }
    }

    /// Waits until it is ready: its Redis answers, its rules are there.
    pub(crate) async fn ready(self) -> Self {
        let ready = async || self.page("/readyz").await.contains("\"ready\":true");
        testbed::wait::wait_until("the service to be ready", PATIENCE, ready).await.unwrap();
        self
    }

    /// Its rules' file.
    pub(crate) fn rules(&self) -> PathBuf {
        self.dir.path().join("rules/edge.yaml")
    }

    /// Its own configuration's file.
    pub(crate) fn settings(&self) -> PathBuf {
        self.dir.path().join("ratelimit.yaml")
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self) -> RateLimitServiceClient<Channel> {
        self.client_by(None)
    }

    /// The same, by TLS.
    pub(crate) fn client_by(&self, tls: Option<&ClientSettings>) -> RateLimitServiceClient<Channel> {
        let tls = tls.map(|tls| Reloading::fixed(client_config(tls, Protocols::Http2).unwrap()));
        RateLimitServiceClient::new(kit::grpc::channel(&self.grpc.parse().unwrap(), tls).unwrap())
    }

    /// Asks once.
    pub(crate) async fn ask(&self, request: RateLimitRequest) -> RateLimitResponse {
        self.client().should_rate_limit(request).await.unwrap().into_inner()
    }

    /// The text of a page of the admin port.
    pub(crate) async fn page(&self, path: &str) -> String {
        service::page(&self.admin, path).await.unwrap()
    }

    /// The value of a metric, with its labels as they are written; 0 when it is not there yet.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        service::metric(&self.admin, series).await.unwrap()
    }
}

/// A request of one descriptor.
pub(crate) fn request(domain: &str, entries: &[(&str, &str)]) -> RateLimitRequest {
    let entry = |(key, value): &(&str, &str)| Entry { key: (*key).to_owned(), value: (*value).to_owned() };
    let descriptor =
        RateLimitDescriptor { entries: entries.iter().map(entry).collect(), ..RateLimitDescriptor::default() };
    RateLimitRequest { domain: domain.to_owned(), descriptors: vec![descriptor], hits_addend: 0 }
}

/// Whether a request was refused.
pub(crate) fn refused(response: &RateLimitResponse) -> bool {
    response.overall_code() == Code::OverLimit
}
