//! The admin port: `/livez`, `/readyz`, `/metrics`, `/config`, `/log`, and what a service adds.
//!
//! It is up before the service is, and stays up while the service drains, so that both can be watched.

mod parts;

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::drain::Shutdown;
use crate::health::Gates;
use crate::incoming::Incoming;
use crate::metrics::{Exposition, Metrics};
use crate::net::{Address, BindError, Listener, Purpose};
use crate::telemetry::{Levels, LogControl};

/// The admin port, as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// Where to listen. The page is for operators: anything but loopback or a Unix socket shows it to the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// Which routes an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    All,
    /// `/metrics` only: for an address that scrapers reach.
    Metrics,
    /// `/livez` and `/readyz` only: for an address that probes reach.
    Health,
}

/// The admin pages of a process. Clones share them.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    gates: Gates,
    metrics: Metrics,
    log: LogControl,
    shutdown: Shutdown,
    config: RwLock<Box<dyn Fn() -> Value + Send + Sync>>,
    more: RwLock<Router>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Admin")
    }
}

impl Admin {
    /// The pages of a process with these parts.
    pub fn new(gates: Gates, metrics: Metrics, log: LogControl, shutdown: Shutdown) -> Self {
        let config = RwLock::new(Box::new(|| json!({})) as Box<_>);
        Self(Arc::new(Inner { gates, metrics, log, shutdown, config, more: RwLock::default() }))
    }

    /// What `/config` shows. Secrets have to be [`Redacted`](crate::redact::Redacted) in it.
    pub fn show_config(&self, config: impl Fn() -> Value + Send + Sync + 'static) {
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = Box::new(config);
    }

    /// Adds routes; paths of the common ones cannot be replaced.
    ///
    /// # Panics
    /// When a path is added twice.
    pub fn add_routes(&self, routes: Router) {
        let mut more = self.0.more.write().unwrap_or_else(PoisonError::into_inner);
        *more = std::mem::take(&mut *more).merge(routes);
    }

    /// Listens on `address` and serves `part` until the process is forced to end. Gives the bound address.
    pub async fn listen(&self, address: &Address, purpose: Purpose, part: Part) -> Result<Address, BindError> {
        let listener = Listener::bind(address, purpose).await?;
        let address = listener.address().clone();
        // A process that drains still answers here: this port stops only at the very end.
        let (until, shutdown) = (Shutdown::new(), self.0.shutdown.clone());
        let incoming = Incoming::start(listener, None, &until);
        let router = self.router(part);
        tokio::spawn(async move {
            tokio::select! {
                result = crate::serve::http(incoming, router, &until) => {
                    if let Err(error) = result {
                        tracing::error!(%error, "the admin port ended");
                    }
                }
                () = shutdown.forced() => until.force(),
            }
        });
        Ok(address)
    }

    /// The routes of `part`.
    pub fn router(&self, part: Part) -> Router {
        let (health, scrape) = (
            Router::new().route("/livez", get(|| async { "alive\n" })).route("/readyz", get(readyz)),
            Router::new().route("/metrics", get(scrape)),
        );
        let router = match part {
            Part::Health => health,
            Part::Metrics => scrape,
            Part::All => {
                health.merge(scrape).route("/config", get(config)).route("/log", get(log).put(set_log)).fallback(more)
            }
        };
        router.with_state(self.clone())
    }
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let readiness = admin.0.gates.readiness();
    let ready = readiness.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "gates": readiness.gates }))).into_response()
}

async fn scrape(State(admin): State<Admin>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let Exposition { content_type, parts } = admin.0.metrics.scraped(accept);
    ([(header::CONTENT_TYPE, content_type)], parts::body(parts, parts::PATIENCE))
}

async fn config(State(admin): State<Admin>) -> Json<Value> {
    let config = admin.0.config.read().unwrap_or_else(PoisonError::into_inner);
    Json(config())
}

async fn log(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({ "level": admin.0.log.levels() }))
}

/// Takes levels as plain text: `info,xds=debug`.
async fn set_log(State(admin): State<Admin>, levels: String) -> Response {
    match levels.trim().parse::<Levels>() {
        Ok(levels) => {
            tracing::warn!(%levels, "log levels are changed by the admin port");
            admin.0.log.set(levels);
            log(State(admin)).await.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// What the service added.
async fn more(State(admin): State<Admin>, request: Request) -> Result<Response, Infallible> {
    let more = admin.0.more.read().unwrap_or_else(PoisonError::into_inner).clone();
    more.oneshot(request).await
}
