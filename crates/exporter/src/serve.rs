//! The running service: settings to parts, parts to tasks.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kit::Kit;
use kit::admin::Part;
use kit::lanes::Lanes;
use kit::net::Purpose;
use kit::reload::Reloading;
use kit::tasks::BoxError;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::book::Caps;
use crate::events::{self, Events};
use crate::http::Pages;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::settings::{self, Settings};
use crate::traffic::{Before, Bounds, Traffic};
use crate::{expose, grpc, http, live, loss};

const METRICS: Purpose = Purpose { name: "metrics", setting: "the field metrics" };

/// Serves; returns once everything is up.
pub(crate) async fn serve(kit: Kit, settings: Reloading<Settings>) -> Result<(), BoxError> {
    let settings = settings.get();
    let served = kit.gates.gate("grpc");
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let lanes = Lanes::start()?;
    let traffic = Arc::new(traffic(&settings, lanes.runtimes().len(), &metrics));
    expose_traffic(&kit, &traffic, &metrics);
    let lines = event_lines(&kit, settings.events.file.as_ref(), &metrics).await?;
    let events = Events::new(&metrics, settings.events.redact.clone(), lines);
    let states = live::start(&kit, &traffic);
    kit.admin.add_routes(http::admin(Pages { traffic: Arc::clone(&traffic), states, events: events.live() }));
    if let Some(address) = &settings.metrics {
        kit.admin.listen(address, METRICS, Part::Metrics).await?;
    }
    forget_idle(&kit, &traffic, settings.forget_after);
    loss::start(&kit, &settings.envoys, &metrics)?;
    let ingest = Arc::new(Ingest::new(traffic, metrics, events));
    let routes = grpc::routes(&kit, ingest, settings.grpc.max_message).await;
    settings.grpc.serve_in(&lanes, &kit, routes).await?;
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

/// The way to the file of events, if there is to be one.
async fn event_lines(
    kit: &Kit,
    file: Option<&PathBuf>,
    metrics: &Metrics,
) -> Result<Option<mpsc::Sender<String>>, BoxError> {
    let Some(path) = file.cloned() else { return Ok(None) };
    let opened = tokio::fs::OpenOptions::new().create(true).append(true).open(&path).await;
    let mut file = opened.map_err(|error| format!("events.file: cannot open {}: {error}", path.display()))?;
    let (sender, mut lines) = mpsc::channel::<String>(events::WAITING);
    let (shutdown, dropped) = (kit.shutdown.clone(), metrics.dropped_events.clone());
    kit.tasks.spawn("events", async move {
        let mut waiting = Vec::new();
        while let Some(count) = shutdown.unless_forced(lines.recv_many(&mut waiting, events::WAITING)).await {
            if count == 0 {
                break;
            }
            let text: String = waiting.drain(..).flat_map(|line| [line, "\n".to_owned()]).collect();
            // A disk that is full may have room again: what comes then is written.
            if let Err(error) = append(&mut file, &text).await {
                dropped.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
                tracing::error!(file = %path.display(), %error, "{count} events cannot be written");
            }
        }
        Ok::<(), Infallible>(())
    });
    Ok(Some(sender))
}

async fn append(file: &mut File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes()).await?;
    file.flush().await
}
