//! A whole service in a page: what `main` looks like, and what the tests of this crate start as a real process.
//!
//! ```text
//! cargo run -p kit --example greeter -- --admin-addr 127.0.0.1:19000
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use kit::incoming::Incoming;
use kit::net::{Address, Listener, Purpose};
use kit::redact::Redacted;
use kit::reload::Reloading;
use kit::tasks::BoxError;
use kit::{Common, Kit};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Config {
    admin: kit::admin::Settings,
    telemetry: kit::telemetry::Settings,
    drain: kit::drain::Settings,
    listen: Address,
    greeting: String,
    token: Redacted<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admin: kit::admin::Settings::default(),
            telemetry: kit::telemetry::Settings::default(),
            drain: kit::drain::Settings::default(),
            listen: Address::Tcp("127.0.0.1:0".to_owned()),
            greeting: "hello".to_owned(),
            token: Redacted::default(),
        }
    }
}

impl kit::Config for Config {
    fn common(&self) -> Common {
        Common { admin: self.admin.clone(), telemetry: self.telemetry.clone(), drain: self.drain }
    }

    fn default_admin() -> &'static str {
        "127.0.0.1:0"
    }

    fn check(&self, document: &kit::config::Document) -> Result<(), kit::config::Finding> {
        if self.greeting.is_empty() {
            return Err(document.finding("greeting", "is empty, allowed: any text of at least one character"));
        }
        Ok(())
    }
}

const ABOUT: kit::About =
    kit::About { service: "greeter", version: env!("CARGO_PKG_VERSION"), what: "Says hello", examples: "" };

fn main() -> ExitCode {
    kit::run(&ABOUT, serve, |tool: kit::NoTool| match tool {})
}

async fn serve(kit: Kit, config: Reloading<Config>) -> Result<(), BoxError> {
    let ready = kit.gates.gate("http");
    let purpose = Purpose { name: "http", setting: "the field listen" };
    let listener = Listener::bind(&config.get().listen, purpose).await?;
    let incoming = Incoming::start(listener, None, &kit.shutdown);
    let router = Router::new()
        .route("/", get(greet))
        .route("/slow", get(slow))
        .route("/stuck", get(stuck))
        .route("/fail", get(fail))
        .with_state((Arc::new(kit.clone()), config));
    let shutdown = kit.shutdown.clone();
    kit.tasks.spawn("http", async move { kit::serve::http(incoming, router, &shutdown).await });
    ready.open();
    Ok(())
}

type Shared = (Arc<Kit>, Reloading<Config>);

async fn greet(State((_, config)): State<Shared>, headers: HeaderMap) -> String {
    let span = tracing::info_span!("greet");
    kit::trace::adopt_parent(&span, |name| headers.get(name)?.to_str().ok());
    let _in_span = span.entered();
    tracing::debug!("greeting");
    config.get().greeting.clone()
}

/// Never answers: the request that a deadline is for.
async fn stuck() {
    tracing::info!("a stuck request began");
    std::future::pending().await
}

/// Answers once the process is draining: a request in flight.
async fn slow(State((kit, config)): State<Shared>) -> String {
    tracing::info!("a slow request began");
    kit.shutdown.stopping().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    config.get().greeting.clone()
}

/// Makes a task panic: the process ends and names it.
async fn fail(State((kit, _)): State<Shared>) -> &'static str {
    kit.tasks.spawn("fragile", async {
        tokio::task::yield_now().await;
        Err::<(), _>("it was fragile")
    });
    "failing"
}
