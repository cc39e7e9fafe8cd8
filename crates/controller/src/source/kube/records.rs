//! What the API server has of each object with a status: for whoever writes the status.
//!
//! Kept beside the resources and not in them, so that a written status is no change of the resources.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::ObjectRef;
use serde_json::Value;
use tokio::sync::watch;

/// What the API server has of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The version of the API in which it is read and written.
    pub version: &'static str,
    /// The state that this is: a write that is meant for it fails once there is a newer one.
    pub resource_version: Box<str>,
    /// The status as JSON; empty when there is none. Most are never looked at, so it is kept as text.
    status: Box<str>,
}

impl Record {
    pub(super) fn new(version: &'static str, resource_version: &str, status: &Value) -> Self {
        let status = if status.is_object() { status.to_string().into() } else { Box::default() };
        Self { version, resource_version: resource_version.into(), status }
    }

    /// The `status` field; null when there is none.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.status).unwrap_or_default()
    }
}

/// The records of all objects. Clones share them.
#[derive(Clone, Debug)]
pub struct Records {
    inner: Arc<Mutex<Inner>>,
    ticks: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    known: BTreeMap<Arc<ObjectRef>, Record>,
    changed: BTreeSet<Arc<ObjectRef>>,
}

impl Default for Records {
    fn default() -> Self {
        Self { inner: Arc::default(), ticks: watch::Sender::new(()) }
    }
}

impl Records {
    /// Tells that something changed; what, says [`Records::take_changed`].
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.ticks.subscribe()
    }

    /// One record.
    pub fn get(&self, reference: &ObjectRef) -> Option<Record> {
        self.lock().known.get(reference).cloned()
    }

    /// What has a record.
    pub fn all(&self) -> Vec<Arc<ObjectRef>> {
        self.lock().known.keys().cloned().collect()
    }

    /// What changed since this was asked last. There is one who asks.
    pub fn take_changed(&self) -> BTreeSet<Arc<ObjectRef>> {
        std::mem::take(&mut self.lock().changed)
    }

    /// This is what the server answered to a write of ours that was made for a record. A newer state that was heard of
    /// meanwhile stays: nothing would tell of it again. So does it that the object is gone.
    pub fn wrote(&self, reference: &ObjectRef, made_for: &str, object: &Value) {
        let mut inner = self.lock();
        if let Some(record) = inner.known.get_mut(reference).filter(|record| *record.resource_version == *made_for) {
            let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            *record = Record::new(record.version, version, &object["status"]);
        }
    }

    /// This is how it is now; `None` when it is gone.
    pub(super) fn set(&self, reference: &Arc<ObjectRef>, record: Option<Record>) {
        let mut inner = self.lock();
        match record {
            Some(record) => drop(inner.known.insert(Arc::clone(reference), record)),
            None if inner.known.remove(reference).is_none() => return,
            None => {}
        }
        inner.changed.insert(Arc::clone(reference));
        drop(inner);
        self.ticks.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(version: &str, status: &str) -> Value {
        json!({"metadata": {"resourceVersion": version}, "status": {"is": status}})
    }

    fn set(records: &Records, reference: &Arc<ObjectRef>, version: &str, status: &str) {
        let record = Record::new("v1", version, &object(version, status)["status"]);
        records.set(reference, Some(record));
    }

    #[test]
    fn an_answer_that_is_heard_late_does_not_hide_a_newer_state() {
        let (records, route) = (Records::default(), Arc::new(ObjectRef::new("g", "HTTPRoute", "n", "r")));
        let has = || records.get(&route).map(|record| (record.resource_version.to_string(), record.status()));
        let is = |version: &str, status: &str| Some((version.to_owned(), json!({"is": status})));
        set(&records, &route, "99", "old");
        records.wrote(&route, "99", &object("100", "ours"));
        assert_eq!(has(), is("100", "ours"), "the next write need not wait for the watch");
        // The server has ours as 101 and at once somebody else's as 102, and the watch is faster than the answer.
        set(&records, &route, "102", "theirs");
        records.wrote(&route, "100", &object("101", "ours"));
        assert_eq!(has(), is("102", "theirs"));
        records.set(&route, None);
        records.wrote(&route, "102", &object("103", "ours"));
        assert_eq!(has(), None, "what is gone stays so");
    }
}
