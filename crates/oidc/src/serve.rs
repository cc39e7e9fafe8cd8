//! The running service: settings to parts, parts to tasks.

use std::sync::Arc;
use std::time::Duration;

use kit::Kit;
use kit::lanes::Lanes;
use kit::reload::Reloading;
use kit::tasks::BoxError;

use crate::configured::{self, Configured};
use crate::cookie::Jar;
use crate::metrics::Metrics;
use crate::runtime::Runtime;
use crate::seal::Keys;
use crate::service::Service;
use crate::session::{Memory, Redis, Sessions, Store};
use crate::settings::{self, OnFailure, Settings};
use crate::{clock, grpc, http};

/// How often sessions that are over are forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, following: Reloading<Settings>) -> Result<(), BoxError> {
    let settings = following.get();
    let served = kit.gates.gate("grpc");
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let lanes = Lanes::start_gathered()?;
    let sessions = sessions(&kit, &settings, &metrics, &lanes).await?;
    let (runtime, fresh) = Runtime::new(&settings, None, &metrics)?;
    Runtime::start(&kit, &fresh);
    let service = Arc::new(Service::new(runtime, sessions, metrics));
    let configured = Arc::new(Configured::new(&kit, &settings, &service));
    follow(&kit, following, &configured);
    if let Some(xds) = &settings.xds {
        configured::follow(&kit, xds, &configured, kit.gates.gate("profiles")).await?;
    }
    sweep(&kit, &service);
    settings.http.serve(&kit, http::router(Arc::clone(&service))).await?;
    let service = grpc::Service { service, traced: settings.telemetry.traces.is_some() };
    let routes = grpc::routes(&kit, service, settings.grpc.max_message).await;
    settings.grpc.serve_in(lanes, &kit, routes).await?;
    configured::learnt(&kit, &fresh).await;
    served.open();
    Ok(())
}

async fn sessions(kit: &Kit, settings: &Settings, metrics: &Arc<Metrics>, lanes: &Lanes) -> Result<Sessions, BoxError> {
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
            Store::Redis(Box::new(Redis::start(kit, redis, metrics, lanes)), redis.on_failure == OnFailure::Cookies)
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

/// Takes over new configurations. One that cannot be used leaves the old one in force.
fn follow(kit: &Kit, mut following: Reloading<Settings>, configured: &Arc<Configured>) {
    let (configured, shutdown) = (Arc::clone(configured), kit.shutdown.clone());
    kit.tasks.spawn("configuration", async move {
        while let Some(settings) = shutdown.unless_stopping(following.changed()).await {
            if let Err(error) = configured.take_file(&settings) {
                tracing::error!("the new configuration is not usable, the last good one stays in force: {error}");
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
