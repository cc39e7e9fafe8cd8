//! The running service: settings to parts, parts to tasks.

use std::path::PathBuf;
use std::sync::Arc;

use kit::Kit;
use kit::reload::Reloading;
use kit::tasks::BoxError;

use crate::firewall::Firewall;
use crate::metrics::Metrics;
use crate::observe::Observer;
use crate::pool::Pool;
use crate::profile::{Loader, Profiles};
use crate::settings::Settings;
use crate::{audit, grpc, http};

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, settings: Reloading<Settings>) -> Result<(), BoxError> {
    let settings = settings.get();
    let (served, ruled) = (kit.gates.gate("grpc"), kit.gates.gate("profiles"));
    let (version, core_rules) = coraza::versions();
    tracing::info!(coraza = version, core_rules = core_rules.join(", "), "engine");
    let adopted = coraza::adopt_signal_handlers();
    tracing::debug!(adopted, "handlers of signals run on stacks of their own");
    let threads = settings.engine.threads.unwrap_or_else(processors);
    let engine = &settings.engine;
    coraza::limit(threads, engine.memory_limit, engine.memory_growth, engine.deadline);
    let metrics = Metrics::register(kit.metrics.registry());
    let lost = metrics.audit.with_label_values(&["lost"]);
    let audit = settings.audit.clone().map(|audit| audit::Log::start(audit, lost)).transpose()?;
    let observer = Arc::new(Observer::new(metrics, audit));
    let profiles = follow_profiles(&kit, &settings, &observer).await?;
    ruled.open();
    let firewall = Arc::new(Firewall {
        profiles,
        choices: settings.select.clone(),
        usual: settings.default_profile.clone(),
        pool: Pool::new(threads.into(), settings.engine.max_waiting),
        deadline: settings.engine.deadline,
        name_rules: settings.name_rules,
        observer,
    });
    kit.admin.add_routes(http::admin(Arc::clone(&firewall)));
    let traced = settings.telemetry.traces.is_some();
    let service = grpc::Service { firewall, traced, shutdown: kit.shutdown.clone() };
    settings.grpc.serve(&kit, grpc::routes(&kit, service, settings.grpc.max_message).await).await?;
    served.open();
    Ok(())
}

fn processors() -> u16 {
    std::thread::available_parallelism().ok().and_then(|count| u16::try_from(count.get()).ok()).unwrap_or(1)
}

/// Profiles now, and whenever their files change: compiled beside those in force, each taken over as a whole or not at all.
async fn follow_profiles(
    kit: &Kit,
    settings: &Settings,
    observer: &Arc<Observer>,
) -> Result<Reloading<Profiles>, BoxError> {
    let places = settings.profiles.clone();
    let files: Vec<PathBuf> = places.iter().map(|place| place.path.clone()).collect();
    let (loader, observer) = (Loader::new(settings.engine.gate), Arc::clone(observer));
    let load = move || {
        let loaded = loader.load(&places)?;
        for failure in &loaded.failures {
            tracing::error!(
                profile = failure.profile,
                "not usable, the last good one, if any, stays in force: {}",
                failure.what
            );
        }
        for profile in loaded.profiles.iter() {
            let (rules, judged) = (profile.rules.count(), profile.rules.judged());
            tracing::info!(profile = profile.plan.name, rules, judged, "rules, and how many of them the gate judges");
        }
        observer.metrics.loaded(&loaded);
        Ok::<_, crate::profile::Error>(loaded.profiles)
    };
    if files.is_empty() {
        return Ok(Reloading::fixed(tokio::task::spawn_blocking(load).await??));
    }
    kit.reloader().follow("profiles", &files, load).await
}
