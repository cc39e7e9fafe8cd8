//! The running service: settings to parts, parts to tasks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kit::Kit;
use kit::admin::Part;
use kit::journal::{Journal, Owner, Target};
use kit::lanes::Lanes;
use kit::net::Purpose;
use kit::reload::Reloading;
use kit::tasks::BoxError;

use crate::book::Caps;
use crate::events::{self, Events, Kept};
use crate::http::Pages;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::settings::{self, Settings};
use crate::traffic::{Before, Bounds, Traffic};
use crate::{expose, grpc, http, live, loss, push};

const METRICS: Purpose = Purpose { name: "metrics", setting: "the field metrics" };

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, settings: Reloading<Settings>) -> Result<(), BoxError> {
    let settings = settings.get();
    let served = kit.gates.gate("grpc");
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let lanes = Lanes::start()?;
    let traffic = Arc::new(traffic(&settings, lanes.runtimes().len(), &metrics));
    expose_traffic(&kit, &traffic, &metrics);
    let kept = journals(&kit, &settings.events, &metrics)?;
    let events = Events::new(&metrics, settings.events.redact.clone(), kept, settings.events.otlp.is_some());
    let live = live::start(&kit, &traffic);
    kit.admin.add_routes(http::admin(Pages { traffic: Arc::clone(&traffic), live, events: events.live() }));
    if let Some(address) = &settings.metrics {
        kit.admin.listen(address, METRICS, Part::Metrics).await?;
    }
    forget_idle(&kit, &traffic, settings.forget_after);
    if let Some(settings) = &settings.push {
        push::start(&kit, settings, &traffic, &metrics)?;
    }
    loss::start(&kit, &settings.envoys, &metrics)?;
    let ingest = Arc::new(Ingest::new(traffic, metrics, events));
    let routes = grpc::routes(&kit, ingest, settings.grpc.max_message).await;
    settings.grpc.serve_in(lanes, &kit, routes).await?;
    served.open();
    Ok(())
}

/// What counts, by the settings.
pub(crate) fn traffic(settings: &Settings, parts: usize, metrics: &Arc<Metrics>) -> Traffic {
    let settings::Buckets { seconds, bytes } = settings.buckets.clone();
    let settings::Caps { requests, routes, local_replies, connections } = settings.caps;
    let caps = Caps { requests, routes, replies: local_replies, connections };
    Traffic::new(parts, Bounds { seconds, bytes }, caps, Arc::clone(metrics))
}

fn expose_traffic(kit: &Kit, traffic: &Arc<Traffic>, metrics: &Arc<Metrics>) {
    let (traffic, metrics) = (Arc::clone(traffic), Arc::clone(metrics));
    kit.metrics.expose_by(Box::new(move |registry, accept| {
        traffic.tell_series(&metrics);
        expose::scrape(registry, Arc::clone(&traffic), accept)
    }));
}

fn forget_idle(kit: &Kit, traffic: &Arc<Traffic>, after: Duration) {
    let (traffic, shutdown) = (Arc::clone(traffic), kit.shutdown.clone());
    kit.tasks.spawn("forget", async move {
        let (mut ticks, mut before) = (tokio::time::interval(after), Before::default());
        while shutdown.unless_stopping(ticks.tick()).await.is_some() {
            traffic.forget_idle(&mut before);
        }
        Ok::<(), Infallible>(())
    });
}

/// Where events are kept. The process ends when all are written.
fn journals(kit: &Kit, events: &settings::Events, metrics: &Metrics) -> Result<Vec<Kept>, BoxError> {
    let owner = Owner { service: kit.service, version: kit.version, what: "security events" };
    let file = events.file.clone().map(|file| ("file", Target::File(file)));
    let collector = events.otlp.clone().map(|otlp| ("otlp", Target::Collector(otlp)));
    let start = |(sink, target)| {
        let dropped = metrics.dropped_events.with_label_values(&[sink]);
        let journal = Journal::start(owner, target, events::WAITING, dropped.clone());
        let journal = journal.map_err(|error| format!("events.{sink}: {error}"))?;
        let (ended, shutdown) = (journal.ended(), kit.shutdown.clone());
        kit.tasks.spawn(format!("events.{sink}"), async move {
            shutdown.unless_forced(ended).await;
            Ok::<(), Infallible>(())
        });
        Ok(Kept { journal, dropped })
    };
    file.into_iter().chain(collector).map(start).collect()
}
