//! One list and watch of the API server, raw: pages of documents, then events, by the rules of the API's concepts page
//! ("Efficient detection of changes").

use std::time::Duration;

use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use kube::{
    Client,
    core::{
        Request, WatchEvent,
        params::{ListParams, WatchParams},
    },
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::api_server::spread;

/// Documents a page: a page is held in memory as text while its documents are read one by one.
const PAGE: u32 = 250;
/// How long a page may take.
const PAGE_TIME: Duration = Duration::from_secs(60);
/// How long a watch lasts at most, in seconds; then it is taken up again where it ended.
const WATCH: u64 = 290;
/// The server sends a bookmark about every minute. After this long a silence the connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(150);

/// What is listed and watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// The path of the resources.
    pub(super) path: String,
    /// A selector of labels.
    pub(super) labels: Option<String>,
    /// A selector of fields.
    pub(super) fields: Option<String>,
    /// Whether metadata is enough.
    pub(super) metadata_only: bool,
}

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Change {
    /// This is how it is now.
    Put(Value),
    /// It is gone; this is how it was.
    Gone(Value),
    /// Nothing happened for a while.
    Nothing,
}

/// Why a list or watch ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The server answered with an error, or could not be asked.
    #[error(transparent)]
    Server(#[from] kube::Error),
    /// Nothing came for too long.
    #[error("the API server does not answer")]
    Silent,
}

/// Some of the documents of a list, still as text.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) metadata: PageMetadata,
    /// Null when there are none, in a list of metadata.
    #[serde(default)]
    pub(super) items: Option<Vec<Box<RawValue>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMetadata {
    /// The state that this is: from where to watch.
    pub(super) resource_version: String,
    /// Where the next page begins; empty for the last one.
    #[serde(default)]
    pub(super) r#continue: String,
}

/// A watch that goes on.
pub(super) struct Events {
    lines: BoxStream<'static, std::io::Result<String>>,
    /// Up to where we know what happened.
    pub(super) version: String,
}

impl Target {
    /// The page of a list that begins at a token; the first for an empty one.
    pub(super) async fn page(&self, client: &Client, token: String) -> Result<Page, Broken> {
        let parameters = ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            continue_token: Some(token).filter(|token| !token.is_empty()),
            ..ListParams::default()
        };
        let request = Request::new(&self.path);
        let request = match self.metadata_only {
            true => request.list_metadata(&parameters),
            false => request.list(&parameters),
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        let answer = tokio::time::timeout(PAGE_TIME, client.request_text(request)).await;
        let text = answer.map_err(|_| Broken::Silent)??;
        Ok(serde_json::from_str(&text).map_err(kube::Error::SerdeError)?)
    }

    /// Watches what happens after a version.
    pub(super) async fn watch(&self, client: &Client, version: String) -> Result<Events, Broken> {
        let seconds = spread(Duration::from_secs(WATCH)).as_secs();
        let parameters = WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            timeout: u32::try_from(seconds).ok(),
            ..WatchParams::default()
        };
        let request = Request::new(&self.path);
        let request = match self.metadata_only {
            true => request.watch_metadata(&parameters, &version),
            false => request.watch(&parameters, &version),
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        let answer = tokio::time::timeout(SILENCE, client.request_stream(request)).await;
        let lines = answer.map_err(|_| Broken::Silent)??.lines().boxed();
        Ok(Events { lines, version })
    }
}

impl Events {
    /// What happens next; `None` when the watch has ended in peace.
    pub(super) async fn next(&mut self) -> Result<Option<Change>, Broken> {
        let line = tokio::time::timeout(SILENCE, self.lines.try_next()).await.map_err(|_| Broken::Silent)?;
        let Some(line) = line.map_err(kube::Error::ReadEvents)? else { return Ok(None) };
        let event = match serde_json::from_str::<WatchEvent<Value>>(&line) {
            // The connection was cut within a line.
            Err(error) if error.is_eof() => return Ok(None),
            event => event.map_err(kube::Error::SerdeError)?,
        };
        let change = match event {
            WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
            WatchEvent::Bookmark(mark) => {
                self.version = mark.metadata.resource_version;
                return Ok(Some(Change::Nothing));
            }
            WatchEvent::Added(value) | WatchEvent::Modified(value) => Change::Put(value),
            WatchEvent::Deleted(value) => Change::Gone(value),
        };
        if let Change::Put(value) | Change::Gone(value) = &change
            && let Some(now) = value["metadata"]["resourceVersion"].as_str()
        {
            now.clone_into(&mut self.version);
        }
        Ok(Some(change))
    }
}
