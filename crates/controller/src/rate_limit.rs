//! What the rate limit service is told: the limits of all fleets, as state of the world. It gets them as Envoys get their
//! configuration, by a server of its own, so that neither hears of what is the other's.
//!
//! ```text
//! Output ─▶ Limits (one message a domain) ─▶ Cache ─▶ ADS ─▶ portcullis-ratelimit, or the reference
//!                                                     └──▶ answers: counted, refusals logged
//! ```

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use envoy::{Message as _, type_url::RATE_LIMIT_CONFIG};
use kit::{
    Kit,
    incoming::Incoming,
    net::{Address, Listener, Purpose},
    tasks::BoxError,
};
use tokio::sync::{broadcast::error::RecvError, watch};
use xds::{Cache, Event, LedgerBook, Snapshot, admit_to, grpc::Ads};

use crate::{authority::RATE_LIMIT, metrics::Metrics, pipeline::Output, xds_server::Network};

const SOCKET: Purpose =
    Purpose { name: "ratelimit-xds", setting: "the field provider.custom.infrastructure.host.runtimeDir" };
const NETWORK: Purpose = Purpose { name: "ratelimit-xds", setting: "the field rateLimit.configAddress" };

/// The name of the one group of clients, in logs and metrics, where Envoys have their fleet's.
const GROUP: &str = "ratelimit";

/// Where the service gets its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// On this machine.
    pub socket: PathBuf,
    /// Elsewhere.
    pub network: Option<Network>,
}

/// Serves the limits, where there is a service for them.
///
/// # Errors
/// An address is in use, or certificates cannot be read.
pub async fn serve(
    kit: &Kit,
    listen: Option<Listen>,
    output: watch::Receiver<Option<Arc<Output>>>,
    metrics: &Metrics,
) -> Result<(), BoxError> {
    let Some(Listen { socket, network }) = listen else { return Ok(()) };
    let (cache, book) = (Cache::new(), LedgerBook::default());
    let ads = Ads::new(cache.clone(), book.clone(), admit_to(GROUP, RATE_LIMIT), kit.shutdown.clone());
    let listener = Listener::bind(&Address::Unix(socket), SOCKET).await?;
    let (local, incoming) = (ads.clone(), Incoming::start(listener, None, &kit.shutdown));
    kit.tasks.spawn("limits socket", async move { local.serve(incoming).await });
    if let Some(network) = network {
        let incoming = network.listen(kit, NETWORK).await?;
        kit.tasks.spawn("limits network", async move { ads.serve(incoming).await });
    }
    let (metrics, shutdown) = (metrics.clone(), kit.shutdown.clone());
    kit.tasks.spawn("limits", async move {
        shutdown.unless_stopping(feed(output, cache, book, metrics)).await;
        Ok::<(), BoxError>(())
    });
    Ok(())
}

/// Puts the limits of each output into force, and counts what the service says of them.
async fn feed(mut output: watch::Receiver<Option<Arc<Output>>>, cache: Cache, book: LedgerBook, metrics: Metrics) {
    let (mut limits, mut events) = (Limits::default(), book.events());
    loop {
        tokio::select! {
            changed = output.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = output.borrow_and_update().clone();
                if let Some(snapshot) = now.and_then(|now| limits.take(&now)) {
                    cache.set(GROUP, snapshot);
                    metrics.snapshot(GROUP);
                }
            }
            event = events.recv() => match event {
                Ok(event) => answered(&event, &metrics),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn answered(event: &Event, metrics: &Metrics) {
    metrics.answered(event);
    if let xds::Outcome::Nacked(words) = &event.outcome {
        tracing::error!(%words, "the rate limit service refused limits, those before stay in force");
    }
}

/// The limits in force.
#[derive(Debug, Default)]
struct Limits {
    /// By fleet: what they were made from, and the messages by domain.
    fleets: BTreeMap<Arc<str>, (Arc<ir::Gateway>, Messages)>,
    snapshot: Option<Arc<Snapshot>>,
}

/// Encoded messages by name.
type Messages = Vec<(String, Vec<u8>)>;

impl Limits {
    /// What is to be sent instead of the limits before; nothing when they are the same. Only fleets that changed are
    /// looked at.
    fn take(&mut self, output: &Output) -> Option<Arc<Snapshot>> {
        self.fleets.retain(|name, _| output.fleets.contains_key(name));
        for (name, fleet) in &output.fleets {
            let known = self.fleets.get(name);
            if known.is_some_and(|(gateway, _)| Arc::ptr_eq(gateway, &fleet.gateway)) {
                continue;
            }
            let configs = lower::rate_limit_config(&fleet.gateway).into_iter();
            let messages = configs.map(|config| (config.name.clone(), config.encode_to_vec())).collect();
            self.fleets.insert(Arc::clone(name), (Arc::clone(&fleet.gateway), messages));
        }
        let before = self.snapshot.as_ref();
        let builder = match before {
            Some(before) => before.next(output.revision),
            None => Snapshot::builder(output.revision),
        };
        let all = self.fleets.values().flat_map(|(_, messages)| messages.iter().cloned());
        let snapshot = builder.set(RATE_LIMIT_CONFIG, all).build();
        let resources = |snapshot: &Snapshot| snapshot.resources(RATE_LIMIT_CONFIG);
        if before.is_some_and(|before| resources(before).is_same(&resources(&snapshot))) {
            return None;
        }
        self.snapshot = Some(Arc::clone(&snapshot));
        Some(snapshot)
    }
}

#[cfg(test)]
mod tests;
