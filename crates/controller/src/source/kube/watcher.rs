//! Keeps one kind, in one namespace or in all, up to date: lists it, follows it, and begins anew when it has to.
//!
//! ```text
//! which version is served? ─▶ list ─▶ watch ─▶ (watch again) ─▶ 410 Gone, or the choice of namespaces changed ─▶ list
//!        └── none: noted, and looked for again when a CRD changes
//! ```
//!
//! Whatever happens to the connection, what was read stays in force.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use api::Kind;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{
    feed::{Broken, Change, Target},
    is_optional,
    read::{Item, read, read_metadata, reference},
};
use crate::{
    api_server::{Backoff, code, path, words},
    source::{Problem, Severity},
};

/// How often a kind that is not served is looked for, where CRDs cannot be watched.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How often something that is forbidden is tried again.
const FORBIDDEN_AGAIN: Duration = Duration::from_secs(15);
/// How long a kind that was served has to be missing before that is believed: a server that starts may not know it yet.
const BELIEVE: Duration = Duration::from_secs(10);
/// A watch that ends sooner is not begun anew at once.
const BRIEF: Duration = Duration::from_secs(1);
/// The label that the API server puts on every namespace.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// The number of a watcher.
pub(super) type Id = usize;
/// The namespaces that are chosen by label; `None` before they are known.
pub(super) type Chosen = Option<Arc<BTreeSet<String>>>;

/// What a watcher tells.
#[derive(Debug)]
pub(super) enum Event {
    /// A list begins.
    Begun(Id),
    /// This is how an object is now.
    Put(Id, Box<Item>),
    /// An object is gone.
    Gone(Id, api::ObjectRef),
    /// The list is complete: what it did not name is gone.
    Listed(Id),
    /// What keeps the watcher from its work; `None` when nothing does.
    Trouble(Id, Option<Problem>),
}

/// What a watcher does with what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Whole objects.
    Whole,
    /// Only that they changed.
    Touched,
    /// One namespace by name. Where that is forbidden it's taken to be there, without labels of its own.
    OneNamespace,
}

/// One kind, in one namespace or in all.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) id: Id,
    pub(super) row: &'static Kind,
    /// `None` for all namespaces.
    pub(super) namespace: Option<Arc<str>>,
    pub(super) form: Form,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
}

/// What all watchers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) events: mpsc::Sender<Event>,
    /// Ticks when a CRD changes.
    pub(super) crds: watch::Receiver<()>,
    /// With namespaces that are chosen by label.
    pub(super) chosen: Option<watch::Receiver<Chosen>>,
}

/// The source is gone: nobody wants to know any more.
struct Unwanted;

impl Watcher {
    /// Runs until nobody wants to know any more.
    pub(super) async fn run(self, shared: Shared) {
        let chosen = shared.chosen.clone().filter(|_| self.row.scope == api::Scope::Namespaced);
        let mut running = Running {
            watcher: self,
            shared,
            chosen,
            backoff: Backoff::of_few(),
            version: 0,
            missing: None,
            listed: false,
        };
        while running.round().await.is_ok() {}
    }
}

struct Running {
    watcher: Watcher,
    shared: Shared,
    chosen: Option<watch::Receiver<Chosen>>,
    backoff: Backoff,
    /// The served version, as an index into those of the row.
    version: usize,
    /// How many versions are not served, and since when.
    missing: Option<(usize, Instant)>,
    /// Whether it was listed: its kind is served.
    listed: bool,
}

impl Running {
    /// One list, and as many watches as follow from it.
    async fn round(&mut self) -> Result<(), Unwanted> {
        if let Some(chosen) = &mut self.chosen {
            chosen.wait_for(Option::is_some).await.map_err(|_| Unwanted)?;
        }
        let mut since = match self.list().await? {
            Ok(since) => since,
            Err(error) => return self.not_listed(&error).await,
        };
        (self.missing, self.listed) = (None, true);
        self.backoff.reset();
        self.tell(Event::Listed(self.watcher.id)).await?;
        loop {
            let began = Instant::now();
            let ended = match &mut self.chosen.clone() {
                Some(chosen) => tokio::select! {
                    ended = self.watch(&mut since) => ended?,
                    // The namespaces are others now. The sender ends with the source, and so does this.
                    _ = chosen.changed() => return Ok(()),
                },
                None => self.watch(&mut since).await?,
            };
            match ended {
                Ok(()) if began.elapsed() > BRIEF => self.backoff.reset(),
                Ok(()) => tokio::time::sleep(self.backoff.wait()).await,
                Err(Broken::Server(error)) if matches!(code(&error), Some(410 | 404)) => {
                    tokio::time::sleep(self.backoff.wait()).await;
                    return Ok(());
                }
                Err(error) => self.failed(&error).await?,
            }
        }
    }

    fn target(&self) -> Target {
        let Watcher { row, namespace, form, labels, fields, .. } = &self.watcher;
        Target {
            path: path(row, row.versions[self.version], namespace.as_deref()),
            labels: labels.clone(),
            fields: fields.clone(),
            metadata_only: *form == Form::Touched,
        }
    }

    /// Lists everything. The version from which to watch.
    async fn list(&mut self) -> Result<Result<String, Broken>, Unwanted> {
        if let Some(chosen) = &mut self.chosen {
            chosen.mark_unchanged();
        }
        self.shared.crds.mark_unchanged();
        self.tell(Event::Begun(self.watcher.id)).await?;
        let target = self.target();
        let mut token = String::new();
        loop {
            let page = match target.page(&self.shared.client, token).await {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            for item in page.items.into_iter().flatten() {
                match serde_json::from_str(item.get()) {
                    Ok(document) => self.put(document).await?,
                    Err(error) => return Ok(Err(kube::Error::SerdeError(error).into())),
                }
            }
            if page.metadata.r#continue.is_empty() {
                return Ok(Ok(page.metadata.resource_version));
            }
            token = page.metadata.r#continue;
        }
    }

    /// Follows what happens after `since`, which moves on with it. Returns when the watch ends.
    async fn watch(&self, since: &mut String) -> Result<Result<(), Broken>, Unwanted> {
        let mut events = match self.target().watch(&self.shared.client, since.clone()).await {
            Ok(events) => events,
            Err(error) => return Ok(Err(error)),
        };
        self.tell(Event::Trouble(self.watcher.id, None)).await?;
        loop {
            match events.next().await {
                Ok(Some(Change::Put(document))) => self.put(document).await?,
                Ok(Some(Change::Gone(document))) => self.gone(&document).await?,
                Ok(Some(Change::Nothing)) => {}
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
            since.clone_from(&events.version);
        }
    }

    async fn put(&self, document: Value) -> Result<(), Unwanted> {
        let Watcher { id, row, form, .. } = self.watcher;
        if !self.is_chosen(&document) {
            return Ok(());
        }
        let item = match form {
            Form::Touched => read_metadata(row, &document),
            Form::Whole | Form::OneNamespace => read(row, row.versions[self.version], document),
        };
        match item {
            Some(item) => self.tell(Event::Put(id, Box::new(item))).await,
            None => Ok(()),
        }
    }

    async fn gone(&self, document: &Value) -> Result<(), Unwanted> {
        match reference(self.watcher.row, document) {
            Some(reference) => self.tell(Event::Gone(self.watcher.id, reference)).await,
            None => Ok(()),
        }
    }

    fn is_chosen(&self, document: &Value) -> bool {
        let Some(chosen) = &self.chosen else { return true };
        let namespace = document["metadata"]["namespace"].as_str().unwrap_or_default();
        chosen.borrow().as_ref().is_some_and(|chosen| chosen.contains(namespace))
    }

    /// The kind could not be listed: another version is tried, or it's waited for.
    async fn not_listed(&mut self, error: &Broken) -> Result<(), Unwanted> {
        let Broken::Server(server) = error else { return self.failed(error).await };
        match code(server) {
            Some(404) => self.missing(error).await,
            Some(403) if self.watcher.form == Form::OneNamespace => self.namespace_unseen().await,
            Some(403) => self.forbidden(server).await,
            // It was too long between two pages of a list.
            Some(410) => Ok(()),
            _ => self.failed(error).await,
        }
    }

    /// This version is not served: perhaps another one is.
    async fn missing(&mut self, error: &Broken) -> Result<(), Unwanted> {
        let versions = self.watcher.row.versions.len();
        let (tried, since) = self.missing.unwrap_or((0, Instant::now()));
        self.version = (self.version + 1) % versions;
        self.missing = Some((tried + 1, since));
        if tried + 1 < versions {
            return Ok(());
        }
        self.missing = Some((0, since));
        if self.listed && since.elapsed() < BELIEVE {
            return self.failed(error).await;
        }
        self.listed = false;
        self.not_served().await
    }

    /// No version is served: there are no objects, which is no error.
    async fn not_served(&mut self) -> Result<(), Unwanted> {
        self.version = 0;
        let row = self.watcher.row;
        let what = format!(
            "{} of {} is not served by the API server (its CRD is not installed), so none is read; it is looked for again",
            row.kind, row.group
        );
        self.tell(Event::Listed(self.watcher.id)).await?;
        self.trouble(Severity::Note, what).await?;
        // An error means that CRDs cannot be watched: then the time counts.
        let _ = tokio::time::timeout(LOOK_AGAIN, async {
            if self.shared.crds.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await;
        Ok(())
    }

    async fn forbidden(&mut self, error: &kube::Error) -> Result<(), Unwanted> {
        let Watcher { row, namespace, .. } = &self.watcher;
        let role = match (namespace, row.scope) {
            (Some(namespace), _) => format!("a Role in the namespace {namespace}"),
            (None, api::Scope::Cluster) => format!("a ClusterRole ({} belong to no namespace)", row.plural),
            (None, api::Scope::Namespaced) => "a ClusterRole".to_owned(),
        };
        let optional = is_optional(row);
        let (severity, effect) = match (optional, self.listed) {
            (true, false) => (Severity::Warning, "what refers to them fails and all else goes on"),
            (true, true) => (Severity::Warning, "what was read before stays in force"),
            (false, _) => (Severity::Error, "nothing is configured without them"),
        };
        let (plural, why) = (row.plural, words(error));
        let what = format!("{plural} cannot be read, and {effect}: {why}; allow get, list and watch with {role}");
        if optional && !self.listed {
            self.tell(Event::Listed(self.watcher.id)).await?;
        }
        self.trouble(severity, what).await?;
        tokio::time::sleep(FORBIDDEN_AGAIN).await;
        Ok(())
    }

    /// Namespaces may not be read: this one is used, so it's there. It can be selected by its name alone.
    async fn namespace_unseen(&mut self) -> Result<(), Unwanted> {
        let name =
            self.watcher.fields.as_deref().and_then(|fields| fields.split_once('=')).map_or("", |(_, name)| name);
        let implied = json!({"metadata": {"name": name, "labels": {NAMESPACE_LABEL: name}}});
        self.put(implied).await?;
        self.tell(Event::Listed(self.watcher.id)).await?;
        let what = format!(
            "the labels of Namespace {name} may not be read: listeners that select namespaces by label do not find it; \
             allow get, list and watch of it with a ClusterRole"
        );
        self.trouble(Severity::Note, what).await?;
        tokio::time::sleep(FORBIDDEN_AGAIN).await;
        Ok(())
    }

    /// The server cannot be asked just now: what was read stays in force.
    async fn failed(&mut self, error: &Broken) -> Result<(), Unwanted> {
        let why = match error {
            Broken::Server(error) => words(error),
            Broken::Silent => error.to_string(),
        };
        let plural = self.watcher.row.plural;
        let what = format!("{plural} cannot be read just now: {why}; what was read before stays in force");
        self.trouble(Severity::Warning, what).await?;
        tokio::time::sleep(self.backoff.wait()).await;
        Ok(())
    }

    async fn trouble(&self, severity: Severity, what: String) -> Result<(), Unwanted> {
        let problem = Problem { file: None, line: 0, severity, object: String::new(), field: String::new(), what };
        self.tell(Event::Trouble(self.watcher.id, Some(problem))).await
    }

    async fn tell(&self, event: Event) -> Result<(), Unwanted> {
        self.shared.events.send(event).await.map_err(|_| Unwanted)
    }
}
