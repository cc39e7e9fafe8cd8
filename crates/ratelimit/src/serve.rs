//! The running service: settings to parts, parts to tasks.

use std::sync::Arc;

use kit::Kit;
use kit::admin::Part;
use kit::lanes::Lanes;
use kit::net::Purpose;
use kit::reload::Reloading;
use kit::tasks::BoxError;

use crate::decide::Limiter;
use crate::metrics::Metrics;
use crate::rules;
use crate::settings::{Settings, StoreSettings};
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use crate::store::{Fallback, Leases, Remote, Store};
use crate::{grpc, http, statsd};

const METRICS: Purpose = Purpose { name: "metrics", setting: "the field metrics" };

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, settings: Reloading<Settings>) -> Result<(), BoxError> {
    tell_of_changes(&kit, settings.clone());
    let settings = settings.get();
    let (served, ruled) = (kit.gates.gate("grpc"), kit.gates.gate("rules"));
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let lanes = Lanes::start_gathered()?;
    let store = store(&kit, &settings, &metrics, &lanes);
    let limiter = Arc::new(Limiter::new(settings.policy(), store, Arc::clone(&metrics)));
    if let Some(xds) = &settings.rules.xds {
        rules::xds::follow(&kit, xds, &limiter, &metrics, ruled).await?;
    } else {
        follow_files(&kit, &settings, &limiter).await?;
        ruled.open();
    }
    if let Some(statsd) = &settings.statsd {
        statsd::start(&kit, statsd.clone(), Arc::clone(&limiter));
    }
    serve_http(&kit, &settings, &limiter).await?;
    let service = grpc::Service { limiter, traced: settings.telemetry.traces.is_some() };
    let routes = grpc::routes(&kit, service, settings.grpc.max_message).await;
    settings.grpc.serve_in(lanes, &kit, routes).await?;
    served.open();
    Ok(())
}

/// Of the service's own configuration only levels of the log are taken over while it runs; whoever changes more is told.
fn tell_of_changes(kit: &Kit, mut settings: Reloading<Settings>) {
    let shutdown = kit.shutdown.clone();
    kit.tasks.spawn("changes", async move {
        let first = without_levels(&settings.get());
        while let Some(next) = shutdown.unless_stopping(settings.changed()).await {
            if without_levels(&next) != first {
                tracing::warn!("the configuration has changed, which takes a restart to have an effect");
            }
        }
        Ok::<(), BoxError>(())
    });
}

fn without_levels(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.telemetry.log.level = kit::telemetry::Levels::default();
    settings
}

async fn serve_http(kit: &Kit, settings: &Settings, limiter: &Arc<Limiter>) -> Result<(), BoxError> {
    kit.admin.add_routes(http::admin(kit, Arc::clone(limiter)));
    if let Some(address) = &settings.metrics {
        kit.admin.listen(address, METRICS, Part::Metrics).await?;
    }
    let all_may_ask = settings.grpc.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none());
    settings.http.serve(kit, http::public(kit, Arc::clone(limiter), all_may_ask)).await
}

fn store(kit: &Kit, settings: &Settings, metrics: &Arc<Metrics>, lanes: &Lanes) -> Store {
    match &settings.store {
        StoreSettings::Memory(memory) => Store::Memory(Memory::new(memory.max_keys).measured(metrics)),
        StoreSettings::Redis(redis) => {
            let fallback = Fallback::new(redis.on_failure, redis.replicas, metrics);
            let leases = redis.leases.map(|terms| Leases::new(terms, metrics));
            let redis = Redis::start(kit, redis, metrics, Some(lanes));
            Store::Redis(Box::new(Remote { redis, fallback, leases }))
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
