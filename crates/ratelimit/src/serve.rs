//! The running service: settings to parts, parts to tasks.

use std::sync::Arc;

use kit::Kit;
use kit::admin::Part;
use kit::incoming::Incoming;
use kit::net::{Listener, Purpose};
use kit::reload::Reloading;
use kit::tasks::BoxError;
use kit::tls::Protocols;

use crate::decide::Limiter;
use crate::metrics::Metrics;
use crate::rules;
use crate::settings::{Grpc, Settings, StoreSettings};
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use crate::store::{Fallback, Store};
use crate::{grpc, http};

const GRPC: Purpose = Purpose { name: "grpc", setting: "the field grpc.address" };

const HTTP: Purpose = Purpose { name: "http", setting: "the field http.address" };

const METRICS: Purpose = Purpose { name: "metrics", setting: "the field metrics" };

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, settings: Reloading<Settings>) -> Result<(), BoxError> {
    let settings = settings.get();
    let (served, ruled) = (kit.gates.gate("grpc"), kit.gates.gate("rules"));
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let store = store(&kit, &settings, &metrics);
    let limiter = Arc::new(Limiter::new(settings.policy(), store, Arc::clone(&metrics)));
    if let Some(xds) = &settings.rules.xds {
        rules::xds::follow(&kit, xds, &limiter, &metrics, ruled).await?;
    } else {
        follow_files(&kit, &settings, &limiter).await?;
        ruled.open();
    }
    serve_http(&kit, &settings, &limiter).await?;
    serve_grpc(&kit, &settings, limiter).await?;
    served.open();
    Ok(())
}

async fn serve_grpc(kit: &Kit, settings: &Settings, limiter: Arc<Limiter>) -> Result<(), BoxError> {
    let Grpc { address, tls, max_connection_age } = settings.grpc.clone();
    let tls = match tls {
        Some(tls) => Some(kit::tls::follow_server(&kit.reloader(), "grpc tls", tls, Protocols::Http2).await?),
        None => None,
    };
    let incoming = Incoming::start(Listener::bind(&address, GRPC).await?, tls, &kit.shutdown);
    let (serving, traced) = (kit.clone(), settings.telemetry.traces.is_some());
    let service = grpc::Service { limiter, traced };
    kit.tasks.spawn("grpc", async move { grpc::serve(incoming, &serving, service, max_connection_age).await });
    Ok(())
}

async fn serve_http(kit: &Kit, settings: &Settings, limiter: &Arc<Limiter>) -> Result<(), BoxError> {
    kit.admin.add_routes(http::admin(kit, Arc::clone(limiter)));
    if let Some(address) = &settings.metrics {
        kit.admin.listen(address, METRICS, Part::Metrics).await?;
    }
    let incoming = Incoming::start(Listener::bind(&settings.http.address, HTTP).await?, None, &kit.shutdown);
    // Who may ask only with a certificate may not ask here without one.
    let asked = settings.grpc.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none());
    let (router, shutdown) = (http::public(kit, Arc::clone(limiter), asked), kit.shutdown.clone());
    kit.tasks.spawn("http", async move { kit::serve::http(incoming, router, &shutdown).await });
    Ok(())
}

fn store(kit: &Kit, settings: &Settings, metrics: &Arc<Metrics>) -> Store {
    match &settings.store {
        StoreSettings::Memory(memory) => Store::Memory(Memory::new(memory.max_keys).measured(metrics)),
        StoreSettings::Redis(redis) => {
            let fallback = Fallback::new(redis.on_failure, redis.replicas, metrics);
            Store::Redis(Redis::start(kit, redis, metrics), fallback)
        }
    }
}

/// Rules from files, now and whenever they change.
async fn follow_files(kit: &Kit, settings: &Settings, limiter: &Arc<Limiter>) -> Result<(), BoxError> {
    let files = settings.rules.files.clone();
    let (paths, target) = (files.clone(), Arc::clone(limiter));
    let load = move || -> Result<(), rules::Error> {
        let loaded = rules::load(&paths)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}: nothing reads it here, as in the reference");
        }
        target.set_rules(loaded.rules);
        Ok(())
    };
    kit.reloader().follow("rules", &files, load).await?;
    Ok(())
}
