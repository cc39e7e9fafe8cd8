//! The running service: settings to parts, parts to tasks.

use std::sync::Arc;
use std::time::Duration;

use kit::Kit;
use kit::incoming::Incoming;
use kit::net::{Listener, Purpose};
use kit::redis::{Link, Terms};
use kit::reload::Reloading;
use kit::tasks::BoxError;
use kit::tls::Protocols;

use crate::cookie::Jar;
use crate::metrics::Metrics;
use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::seal::Keys;
use crate::service::Service;
use crate::session::{Memory, Redis, Sessions, Store};
use crate::settings::{self, OnFailure, Settings};
use crate::{clock, grpc, http};

const GRPC: Purpose = Purpose { name: "grpc", setting: "the field grpc.address" };

const HTTP: Purpose = Purpose { name: "http", setting: "the field http.address" };

/// How often sessions that are over are forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, following: Reloading<Settings>) -> Result<(), BoxError> {
    let settings = following.get();
    let served = kit.gates.gate("grpc");
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let sessions = sessions(&kit, &settings, &metrics).await?;
    let (runtime, fresh) = Runtime::new(&settings, None, &metrics)?;
    Runtime::start(&kit, &fresh);
    let service = Arc::new(Service::new(runtime, sessions, metrics));
    follow(&kit, following, &service);
    sweep(&kit, &service);
    serve_http(&kit, &settings, &service).await?;
    serve_grpc(&kit, &settings, service).await?;
    learnt(&kit, &fresh).await;
    served.open();
    Ok(())
}

async fn sessions(kit: &Kit, settings: &Settings, metrics: &Arc<Metrics>) -> Result<Sessions, BoxError> {
    let keys = if settings.keys.is_empty() {
        tracing::warn!("no keys are configured: logins that have begun, and sessions, end with this process");
        Reloading::fixed(Keys::random())
    } else {
        let files = settings.keys.clone();
        kit.reloader().follow("keys", &settings.keys, move || read_keys(&files)).await?
    };
    let store = match &settings.sessions.store {
        settings::Store::Memory(memory) => {
            Store::Memory(Box::new(Memory::new(memory.max_sessions, metrics.sessions.clone())))
        }
        settings::Store::Redis(redis) => {
            let terms = Terms {
                deadline: redis.deadline,
                most_failures: redis.breaker_failures,
                open: metrics.breaker_open.clone(),
            };
            let link = Link::start(kit, "redis", redis.server.clone(), terms);
            Store::Redis(Box::new(Redis::new(link, &redis.prefix, metrics)), redis.on_failure == OnFailure::Cookies)
        }
        settings::Store::Cookie(_) => Store::Cookie,
    };
    let times = (settings.sessions.idle_timeout.as_secs(), settings.sessions.lifetime.as_secs());
    Ok(Sessions::new(store, Jar::new(&settings.cookies), keys, times))
}

pub(crate) fn read_keys(files: &[std::path::PathBuf]) -> Result<Keys, BoxError> {
    let mut secrets = Vec::new();
    for file in files {
        let secret = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        // Which file is wrong is said by looking at each alone.
        Keys::new([secret.as_slice()]).map_err(|error| format!("{}: {error}", file.display()))?;
        secrets.push(secret);
    }
    Ok(Keys::new(secrets.iter().map(Vec::as_slice))?)
}

/// Waits until providers were asked what they publish: who is ready can log people in and knows tokens, unless a provider is down.
async fn learnt(kit: &Kit, providers: &[Arc<Provider>]) {
    let all = async {
        for provider in providers {
            provider.tried().await;
        }
    };
    kit.shutdown.unless_stopping(all).await;
}

/// Takes over new configurations. One that cannot be used leaves the old one in force.
fn follow(kit: &Kit, mut following: Reloading<Settings>, service: &Arc<Service>) {
    let (service, kit_, shutdown) = (Arc::clone(service), kit.clone(), kit.shutdown.clone());
    kit.tasks.spawn("configuration", async move {
        while let Some(settings) = shutdown.unless_stopping(following.changed()).await {
            let before = service.runtime.load_full();
            match Runtime::new(&settings, Some(&before), &service.metrics) {
                Ok((runtime, fresh)) => {
                    Runtime::start(&kit_, &fresh);
                    learnt(&kit_, &fresh).await;
                    service.runtime.store(Arc::new(runtime));
                }
                Err(error) => {
                    tracing::error!("the new configuration is not usable, the last good one stays in force: {error}")
                }
            }
        }
        Ok::<(), BoxError>(())
    });
}

fn sweep(kit: &Kit, service: &Arc<Service>) {
    let (service, shutdown) = (Arc::clone(service), kit.shutdown.clone());
    kit.tasks.spawn("sweep", async move {
        let mut ticks = tokio::time::interval(SWEEP);
        while shutdown.unless_stopping(ticks.tick()).await.is_some() {
            service.sessions.sweep(clock::now());
        }
        Ok::<(), BoxError>(())
    });
}

async fn serve_grpc(kit: &Kit, settings: &Settings, service: Arc<Service>) -> Result<(), BoxError> {
    let settings::Grpc { address, tls, max_connection_age } = settings.grpc.clone();
    let tls = match tls {
        Some(tls) => Some(kit::tls::follow_server(&kit.reloader(), "grpc tls", tls, Protocols::Http2).await?),
        None => None,
    };
    let incoming = Incoming::start(Listener::bind(&address, GRPC).await?, tls, &kit.shutdown);
    let (serving, traced) = (kit.clone(), settings.telemetry.traces.is_some());
    let service = grpc::Service { service, traced };
    kit.tasks.spawn("grpc", async move { grpc::serve(incoming, &serving, service, max_connection_age).await });
    Ok(())
}

async fn serve_http(kit: &Kit, settings: &Settings, service: &Arc<Service>) -> Result<(), BoxError> {
    let settings::Http { address, tls } = settings.http.clone();
    let tls = match tls {
        Some(tls) => Some(kit::tls::follow_server(&kit.reloader(), "http tls", tls, Protocols::Http).await?),
        None => None,
    };
    let incoming = Incoming::start(Listener::bind(&address, HTTP).await?, tls, &kit.shutdown);
    let (router, shutdown) = (http::router(Arc::clone(service)), kit.shutdown.clone());
    kit.tasks.spawn("http", async move { kit::serve::http(incoming, router, &shutdown).await });
    Ok(())
}
