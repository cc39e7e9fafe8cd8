//! The content of Secrets and ConfigMaps that are referred to. A cluster has many and few of them concern us: watched is
//! only that they changed, and the content of one is asked for when it is referred to or has changed.
//!
//! A watch for each name would be the other way; but a thousand certificates would be a thousand connections.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::{Kind, ObjectRef};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use kube::{
    Client,
    core::{Request, params::GetParams},
};
use tokio::sync::Semaphore;

use super::read::{Item, read};
use crate::api_server::{Backoff, code, path, spread};

/// Requests at once.
const AT_ONCE: usize = 16;
/// How long an answer may take.
const TIME: Duration = Duration::from_secs(10);
/// How often something that is forbidden is tried again.
const FORBIDDEN_AGAIN: Duration = Duration::from_secs(60);

/// What came of asking for one object; `Ok(None)` when there is none.
pub(super) type Answer = (Arc<ObjectRef>, Result<Option<Box<Item>>, kube::Error>);

/// What an answer means.
pub(super) enum Fetched {
    /// Nothing: it's not wanted any more, or could not be read.
    Nothing,
    /// There is no such object.
    Gone,
    /// This is it.
    Content(Box<Item>),
}

/// Asks for what is referred to.
pub(super) struct Fetcher {
    client: Client,
    wanted: HashMap<Arc<ObjectRef>, State>,
    running: FuturesUnordered<BoxFuture<'static, Answer>>,
    places: Arc<Semaphore>,
}

/// How far we are with one object.
#[derive(Debug, Default)]
struct State {
    /// The version that we have; `None` when there is none, or we don't know yet.
    have: Option<Box<str>>,
    /// The last version that was told of while we asked.
    told: Option<Box<str>>,
    asking: bool,
    /// Whether there was an answer, of any kind.
    answered: bool,
    backoff: Backoff,
    /// The list in which it was named last.
    round: u64,
}

impl Fetcher {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            wanted: HashMap::new(),
            running: FuturesUnordered::new(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// It's referred to from now on.
    pub(super) fn want(&mut self, reference: &Arc<ObjectRef>) {
        self.wanted.entry(Arc::clone(reference)).or_default();
        self.ask(reference, Duration::ZERO);
    }

    /// It's not referred to any more.
    pub(super) fn forget(&mut self, reference: &ObjectRef) {
        self.wanted.remove(reference);
    }

    /// It is referred to, and changed to this version or is gone. `round` is the number of the list that named it.
    pub(super) fn touched(&mut self, reference: &Arc<ObjectRef>, version: Option<&str>, round: u64) {
        let state = self.wanted.entry(Arc::clone(reference)).or_default();
        state.round = round;
        if version.is_some() && state.have.as_deref() == version {
            return;
        }
        state.told = Some(version.unwrap_or_default().into());
        self.ask(reference, Duration::ZERO);
    }

    /// A list of this kind and namespace is complete: what it did not name may be gone.
    pub(super) fn listed(&mut self, row: &Kind, namespace: Option<&str>, round: u64) {
        let unnamed = self.wanted.iter().filter(|(reference, state)| {
            reference.kind == row.kind
                && namespace.is_none_or(|namespace| reference.namespace == namespace)
                && state.round < round
                && state.have.is_some()
        });
        let unnamed: Vec<_> = unnamed.map(|(reference, _)| Arc::clone(reference)).collect();
        unnamed.iter().for_each(|reference| self.touched(reference, None, round));
    }

    /// Whether something was asked for that there was no answer to yet.
    pub(super) fn is_waiting(&self) -> bool {
        // Few are asked for at a time.
        !self.running.is_empty() && self.wanted.values().any(|state| state.asking && !state.answered)
    }

    /// The next answer. Pending for ever when nothing is asked for. Cancel safe.
    pub(super) async fn next(&mut self) -> Answer {
        match self.running.next().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// Takes note of an answer.
    pub(super) fn take(&mut self, (reference, answer): Answer) -> Fetched {
        let Some(state) = self.wanted.get_mut(&reference) else { return Fetched::Nothing };
        (state.asking, state.answered) = (false, true);
        match answer {
            Ok(item) => {
                state.backoff.reset();
                state.have = item.as_ref().map(|item| item.resource_version.clone());
                // What was told meanwhile may be newer than what we got, or older.
                if state.told.take().is_some_and(|told| state.have.as_deref() != Some(&*told)) {
                    self.ask(&reference, Duration::ZERO);
                }
                item.map_or(Fetched::Gone, Fetched::Content)
            }
            Err(error) => {
                let wait = match code(&error) {
                    Some(403) => spread(FORBIDDEN_AGAIN),
                    _ => state.backoff.wait(),
                };
                tracing::warn!(component = "provider", %error, ?wait,
                    "{reference} cannot be read, what was read before stays in force");
                self.ask(&reference, wait);
                Fetched::Nothing
            }
        }
    }

    fn ask(&mut self, reference: &Arc<ObjectRef>, wait: Duration) {
        let Some(state) = self.wanted.get_mut(reference).filter(|state| !state.asking) else { return };
        state.asking = true;
        let (client, places, reference) = (self.client.clone(), Arc::clone(&self.places), Arc::clone(reference));
        self.running.push(Box::pin(async move {
            tokio::time::sleep(wait).await;
            let _place = places.acquire().await;
            let answer = fetch(&client, &reference).await;
            (reference, answer)
        }));
    }
}

async fn fetch(client: &Client, reference: &ObjectRef) -> Result<Option<Box<Item>>, kube::Error> {
    let row = Kind::find(&reference.group, &reference.kind).expect("only kinds of the table are referred to");
    let version = row.versions[0];
    let request = Request::new(path(row, version, Some(&reference.namespace)));
    let request = request.get(&reference.name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    let silent = |_| kube::Error::Service("the API server does not answer".into());
    match tokio::time::timeout(TIME, client.request(request)).await.map_err(silent)? {
        Ok(document) => Ok(read(row, version, document).map(Box::new)),
        Err(error) if code(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}
