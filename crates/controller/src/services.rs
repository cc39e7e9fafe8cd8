//! What the services are told that Envoys ask: limits and profiles of all fleets, as state of the world. They get it as Envoys
//! get their configuration, by a server of their own, and each gets its own and nothing of the other's.
//!
//! ```text
//! Output ─┬─▶ limits (one message a domain) ───────▶ Cache ─▶ ADS ─┬─▶ portcullis-ratelimit, or the reference
//!         └─▶ profiles (one a policy, with secrets) ─┘             ├─▶ portcullis-oidc
//!                                                                  └──▶ answers: counted, refusals logged; those of
//!                                                                       profiles are in the status of their policies
//! ```

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use api::{ObjectRef, Rejection, Resources, Stored as _, ext::SecurityPolicy};
use envoy::{
    Message as _,
    type_url::{EXTENSION_CONFIG, RATE_LIMIT_CONFIG},
};
use kit::{
    Kit,
    incoming::Incoming,
    net::{Address, Listener, Purpose},
    tasks::BoxError,
};
use tokio::sync::{broadcast::error::RecvError, watch};
use xds::{Admission, Cache, Event, Ledger, LedgerBook, Refusal, Snapshot, grpc::Ads};

use crate::{
    authority::{RATE_LIMIT, SINGLE_SIGN_ON},
    metrics::Metrics,
    pipeline::Output,
    xds_server::Network,
};

const SOCKET: Purpose =
    Purpose { name: "services-xds", setting: "the field provider.custom.infrastructure.host.runtimeDir" };
const NETWORK: Purpose =
    Purpose { name: "services-xds", setting: "the field configAddress of rateLimit or singleSignOn" };

/// The groups of clients, in logs and metrics, where Envoys have their fleet's.
const LIMITS: &str = "ratelimit";
const LOGINS: &str = "oidc";

/// Where services get their configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// On this machine.
    pub sockets: Vec<PathBuf>,
    /// Elsewhere.
    pub network: Option<Network>,
}

/// What the single sign-on service refuses, by the policy that it was made from.
pub type Refusals = BTreeMap<ObjectRef, Rejection>;

/// Serves the services, where there are any; gives what is refused of logins.
///
/// # Errors
/// An address is in use, or certificates cannot be read.
pub async fn serve(
    kit: &Kit,
    listen: Listen,
    output: watch::Receiver<Option<Arc<Output>>>,
    metrics: &Metrics,
) -> Result<watch::Receiver<Arc<Refusals>>, BoxError> {
    let (refused, refusals) = watch::channel(Arc::default());
    if listen == Listen::default() {
        return Ok(refusals);
    }
    let (cache, book) = (Cache::new(), LedgerBook::default());
    let ads = Ads::new(cache.clone(), book.clone(), admission(), kit.shutdown.clone());
    for socket in listen.sockets {
        let listener = Listener::bind(&Address::Unix(socket), SOCKET).await?;
        let (local, incoming) = (ads.clone(), Incoming::start(listener, None, &kit.shutdown));
        kit.tasks.spawn("services socket", async move { local.serve(incoming).await });
    }
    if let Some(network) = listen.network {
        let incoming = network.listen(kit, NETWORK).await?;
        kit.tasks.spawn("services network", async move { ads.serve(incoming).await });
    }
    let (metrics, shutdown) = (metrics.clone(), kit.shutdown.clone());
    kit.tasks.spawn("services", async move {
        shutdown.unless_stopping(feed(output, cache, book, metrics, refused)).await;
        Ok::<(), BoxError>(())
    });
    Ok(refusals)
}

/// A service gets what its certificate is for. Who has none comes by a socket that only we may open, or from this machine, and
/// says what it is. Whoever else is on this machine could do the latter, so that gives limits only: profiles have secrets.
fn admission() -> Admission {
    Arc::new(|peer, node| {
        let Some(identity) = &peer.identity else {
            return match (node.cluster == LOGINS, peer.address) {
                (false, _) => Ok(Arc::from(LIMITS)),
                (true, None) => Ok(Arc::from(LOGINS)),
                (true, Some(_)) => Err(Refusal(
                    "profiles have secrets: they are told at the socket oidc.sock, or to a certificate".to_owned(),
                )),
            };
        };
        let is = |id: &str| identity.uris.iter().any(|uri| uri == id);
        match (is(RATE_LIMIT), is(SINGLE_SIGN_ON)) {
            (true, _) => Ok(Arc::from(LIMITS)),
            (_, true) => Ok(Arc::from(LOGINS)),
            _ => Err(Refusal(format!("the certificate names neither {RATE_LIMIT} nor {SINGLE_SIGN_ON}"))),
        }
    })
}

/// Puts what each output tells services into force, and counts what they say of it.
async fn feed(
    mut output: watch::Receiver<Option<Arc<Output>>>,
    cache: Cache,
    book: LedgerBook,
    metrics: Metrics,
    refused: watch::Sender<Arc<Refusals>>,
) {
    let (mut told, mut events, mut ledger) = ([Told::limits(), Told::profiles()], book.events(), book.watch());
    loop {
        tokio::select! {
            changed = output.changed() => {
                if changed.is_err() {
                    return;
                }
                let Some(now) = output.borrow_and_update().clone() else { continue };
                for told in &mut told {
                    if let Some(snapshot) = told.take(&now) {
                        metrics.snapshot(told.group);
                        cache.set(told.group, snapshot);
                    }
                }
            }
            event = events.recv() => match event {
                Ok(event) => answered(&event, &metrics),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            Ok(()) = ledger.changed() => {
                let now = ledger.borrow_and_update().clone();
                let resources = output.borrow().as_ref().map(|output| output.resources.clone()).unwrap_or_default();
                refused.send_if_modified(|before| {
                    let next = refusals(&now, &resources);
                    let changed = **before != next;
                    *before = Arc::new(next);
                    changed
                });
            }
        }
    }
}

fn answered(event: &Event, metrics: &Metrics) {
    metrics.answered(event);
    if let xds::Outcome::Nacked(words) = &event.outcome {
        let service = &*event.group;
        tracing::error!(service, %words, "a service refused its configuration, what was before stays in force");
    }
}

/// What is refused of logins at present.
fn refusals(ledger: &Ledger, resources: &Resources) -> Refusals {
    let rejections = ledger.rejections(LOGINS).filter(|(url, ..)| ***url == *EXTENSION_CONFIG);
    let refusals = rejections.filter_map(|(_, name, rejection)| {
        let (namespace, rest) = name.split_once('/')?;
        let policy = rest.split('/').next()?;
        let reference = ObjectRef::new(SecurityPolicy::GROUP, SecurityPolicy::KIND, namespace, policy);
        let generation = resources.get(&reference)?.meta().generation.unwrap_or_default();
        // The service says a line for each.
        let own = rejection.message.lines().find_map(|line| line.strip_prefix(&**name)?.strip_prefix(": "));
        let message = own.unwrap_or(&rejection.message).to_owned();
        Some((reference, Rejection { generation, message }))
    });
    refusals.collect()
}

/// Encoded messages by name.
type Messages = BTreeMap<String, Vec<u8>>;

/// What one service is told.
#[derive(Debug)]
struct Told {
    group: &'static str,
    type_url: &'static str,
    /// What a fleet has to tell it.
    messages: fn(&ir::Gateway) -> Messages,
    /// By fleet: what the messages were made from, and they.
    fleets: BTreeMap<Arc<str>, (Arc<ir::Gateway>, Messages)>,
    snapshot: Option<Arc<Snapshot>>,
}

impl Told {
    fn new(group: &'static str, type_url: &'static str, messages: fn(&ir::Gateway) -> Messages) -> Self {
        Self { group, type_url, messages, fleets: BTreeMap::new(), snapshot: None }
    }

    /// The rate limit service.
    fn limits() -> Self {
        Self::new(LIMITS, RATE_LIMIT_CONFIG, |gateway| {
            let configs = lower::rate_limit_config(gateway).into_iter();
            configs.map(|config| (config.name.clone(), config.encode_to_vec())).collect()
        })
    }

    /// The single sign-on service.
    fn profiles() -> Self {
        Self::new(LOGINS, EXTENSION_CONFIG, |gateway| {
            let profiles = lower::login_profiles(gateway).into_iter();
            profiles.map(|profile| (profile.name.clone(), profile.encode_to_vec())).collect()
        })
    }

    /// What is to be sent instead of what was before; nothing when it is the same. Only fleets that changed are looked at.
    fn take(&mut self, output: &Output) -> Option<Arc<Snapshot>> {
        self.fleets.retain(|name, _| output.fleets.contains_key(name));
        for (name, fleet) in &output.fleets {
            let known = self.fleets.get(name);
            if known.is_some_and(|(gateway, _)| Arc::ptr_eq(gateway, &fleet.gateway)) {
                continue;
            }
            let messages = (self.messages)(&fleet.gateway);
            self.fleets.insert(Arc::clone(name), (Arc::clone(&fleet.gateway), messages));
        }
        let before = self.snapshot.as_ref();
        let builder = match before {
            Some(before) => before.next(output.revision),
            None => Snapshot::builder(output.revision),
        };
        // A policy of several fleets says the same in each.
        let all: BTreeMap<&String, &Vec<u8>> = self.fleets.values().flat_map(|(_, messages)| messages).collect();
        let snapshot =
            builder.set(self.type_url, all.into_iter().map(|(name, message)| (name, message.clone()))).build();
        let resources = |snapshot: &Snapshot| snapshot.resources(self.type_url);
        if before.is_some_and(|before| resources(before).is_same(&resources(&snapshot))) {
            return None;
        }
        self.snapshot = Some(Arc::clone(&snapshot));
        Some(snapshot)
    }
}

#[cfg(test)]
mod tests;
