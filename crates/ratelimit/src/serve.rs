//! The running service: settings to parts, parts to tasks.

use std::sync::Arc;

use kit::Kit;
use kit::incoming::Incoming;
use kit::net::{Listener, Purpose};
use kit::reload::Reloading;
use kit::tasks::BoxError;
use kit::tls::Protocols;

use crate::decide::Limiter;
use crate::grpc;
use crate::metrics::Metrics;
use crate::rules;
use crate::settings::{Settings, StoreSettings};
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use crate::store::{Fallback, Store};

const GRPC: Purpose = Purpose { name: "grpc", setting: "the field grpc.address" };

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, settings: Reloading<Settings>) -> Result<(), BoxError> {
    let settings = settings.get();
    let (served, ruled) = (kit.gates.gate("grpc"), kit.gates.gate("rules"));
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let limiter = Arc::new(Limiter::new(settings.policy(), store(&kit, &settings, &metrics), metrics));
    follow_files(&kit, &settings, &limiter).await?;
    ruled.open();
    let tls = match &settings.grpc.tls {
        Some(tls) => Some(kit::tls::follow_server(&kit.reloader(), "grpc tls", tls.clone(), Protocols::Http2).await?),
        None => None,
    };
    let listener = Listener::bind(&settings.grpc.address, GRPC).await?;
    let incoming = Incoming::start(listener, tls, &kit.shutdown);
    let serving = kit.clone();
    kit.tasks.spawn("grpc", async move { grpc::serve(incoming, &serving, limiter).await });
    served.open();
    Ok(())
}

fn store(kit: &Kit, settings: &Settings, metrics: &Arc<Metrics>) -> Store {
    match &settings.store {
        StoreSettings::Memory(memory) => Store::Memory(Memory::new(memory.max_keys)),
        StoreSettings::Redis(redis) => {
            let fallback = Fallback::new(redis.on_failure, redis.replicas, metrics);
            Store::Redis(Redis::start(kit, redis, settings.keys.legacy, metrics), fallback)
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
