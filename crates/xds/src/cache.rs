//! The snapshots in force, by group. Streams watch theirs: of several changes in a row they see the last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::resource::Resources;
use crate::snapshot::Snapshot;

/// A group's snapshot as its streams see it; `None` until it is set for the first time.
pub(crate) type Watch = watch::Receiver<Option<Arc<Snapshot>>>;

type Groups = BTreeMap<Arc<str>, watch::Sender<Option<Arc<Snapshot>>>>;

/// The snapshots in force, by group. Cheap to clone; all clones are one cache.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    groups: Arc<Mutex<Groups>>,
}

impl Cache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a snapshot into force. What is equal to the one before is not sent again.
    pub fn set(&self, group: &str, snapshot: Arc<Snapshot>) {
        self.replace(group, |_| Some(snapshot));
    }

    /// The short way: replaces the resources of one type (endpoints, secrets) and leaves the others as they are.
    ///
    /// `change` is given the set in force and returns the new one. The snapshot's revision becomes `revision`, or stays
    /// when that is lower. Does nothing for a group that has no snapshot yet: the first one brings all types.
    pub fn update(&self, group: &str, revision: u64, type_url: &str, change: impl FnOnce(&Resources) -> Resources) {
        self.replace(group, |current| {
            let current = current?;
            let resources = change(&current.resources(type_url));
            let revision = revision.max(current.revision());
            Some(current.next(revision).set_resources(type_url, resources).build())
        });
    }

    /// Forgets a group. Envoys that are connected keep what they have; new ones wait until it is set again.
    pub fn remove(&self, group: &str) {
        let mut groups = self.lock();
        if let Some(sender) = groups.get(group) {
            sender.send_replace(None);
            if sender.receiver_count() == 0 {
                groups.remove(group);
            }
        }
    }

    /// The snapshot in force for a group.
    pub fn get(&self, group: &str) -> Option<Arc<Snapshot>> {
        self.lock().get(group).and_then(|sender| sender.borrow().clone())
    }

    /// Watches a group, whether it is known yet or not.
    pub(crate) fn watch(&self, group: &str) -> Watch {
        let mut groups = self.lock();
        // A good moment to forget groups that were removed while somebody watched them.
        groups.retain(|_, sender| sender.receiver_count() > 0 || sender.borrow().is_some());
        groups.entry(Arc::from(group)).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    fn replace(&self, group: &str, change: impl FnOnce(Option<&Arc<Snapshot>>) -> Option<Arc<Snapshot>>) {
        let mut groups = self.lock();
        let sender = groups.entry(Arc::from(group)).or_insert_with(|| watch::Sender::new(None));
        let next = change(sender.borrow().as_ref());
        if next.is_some() {
            sender.send_replace(next);
        }
    }

    /// A panic elsewhere leaves the map whole: every change is one insertion.
    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_made_early_sees_the_first_snapshot() {
        let cache = Cache::new();
        let mut watch = cache.watch("g");
        cache.update("g", 1, "t", |_| unreachable!("there is nothing to change yet"));
        assert!(!watch.has_changed().unwrap());
        cache.set("g", Snapshot::builder(1).set("t", [("a", "1")]).build());
        assert_eq!(watch.borrow_and_update().as_ref().unwrap().revision(), 1);
    }

    #[test]
    fn the_short_way_touches_one_type() {
        let cache = Cache::new();
        cache.set("g", Snapshot::builder(5).set("t", [("a", "1")]).set("u", [("b", "1")]).build());
        cache.update("g", 4, "t", |old| old.with("a", "2"));
        let now = cache.get("g").unwrap();
        assert_eq!(now.revision(), 5);
        assert_eq!(now.resources("t").get("a").unwrap().body().as_ref(), b"2");
        assert_eq!(now.resources("u").len(), 1);
    }

    #[test]
    fn a_removed_group_is_forgotten_once_nobody_watches() {
        let cache = Cache::new();
        let watch = cache.watch("g");
        cache.set("g", Snapshot::builder(1).build());
        cache.remove("g");
        assert!(cache.get("g").is_none());
        assert!(watch.borrow().is_none());
        drop(watch);
        let _other = cache.watch("h");
        assert_eq!(cache.lock().keys().map(|key| &**key).collect::<Vec<_>>(), ["h"]);
    }
}
