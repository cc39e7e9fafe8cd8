//! The resources of one file that are in force: a sorted list, as there are ten thousand files with one resource, or one
//! file with ten thousand.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use api::ObjectRef;

use super::document::Entry;

/// A resource in force.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) entry: Arc<Entry>,
    /// The line in the file, from 1, where the resource was when it was last good.
    pub(super) line: usize,
}

impl Held {
    pub(super) fn new(entry: &Arc<Entry>, lines_before: usize) -> Self {
        Self { entry: Arc::clone(entry), line: lines_before + entry.line }
    }

    fn name(&self) -> &ObjectRef {
        &self.entry.reference
    }
}

/// Resources, each once, in the order of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldSet(Vec<Held>);

impl HeldSet {
    /// Of several with one name the first counts; the others come back. What was in `old` is sorted without looking at its
    /// name.
    pub(super) fn new(all: Vec<Held>, old: &Self) -> (Self, Vec<Held>) {
        let ranks = old.0.iter().enumerate().map(|(rank, held)| (Arc::as_ptr(&held.entry), rank));
        let ranks: HashMap<_, _, foldhash::fast::FixedState> = ranks.collect();
        let mut all: Vec<_> = all.into_iter().map(|held| (ranks.get(&Arc::as_ptr(&held.entry)), held)).collect();
        let order = |(rank, one): &(Option<&usize>, Held), (other_rank, other): &(Option<&usize>, Held)| {
            let by_rank = rank.zip(*other_rank).map(|(one, other)| one.cmp(other));
            by_rank.unwrap_or_else(|| one.name().cmp(other.name()))
        };
        // Stable: of one name the one that came first stays first.
        all.sort_by(order);
        let mut set = Self(Vec::with_capacity(all.len()));
        let mut doubles = Vec::new();
        let mut last = None;
        for (rank, held) in all {
            // What was there has different names.
            let has_other_name = rank.zip(last).is_some_and(|(rank, last)| rank != last);
            last = rank;
            let is_double = !has_other_name && set.0.last().is_some_and(|before| before.name() == held.name());
            if is_double { doubles.push(held) } else { set.0.push(held) }
        }
        set.0.shrink_to_fit();
        (set, doubles)
    }

    /// Adds those whose name is not there yet.
    pub(super) fn add_missing(&mut self, more: Vec<Held>) {
        if !more.is_empty() {
            let mut all = std::mem::take(&mut self.0);
            all.extend(more);
            *self = Self::new(all, &Self::default()).0;
        }
    }

    /// The resource of this name.
    pub(super) fn get(&self, reference: &ObjectRef) -> Option<&Held> {
        let found = self.0.binary_search_by(|held| held.name().cmp(reference)).ok()?;
        self.0.get(found)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.0.iter()
    }

    /// What differs between two sets, in the order of the names: what was, and what is instead.
    pub(super) fn differences<'a>(
        &'a self,
        new: &'a Self,
    ) -> impl Iterator<Item = (Option<&'a Held>, Option<&'a Held>)> {
        let (mut old, mut new) = (self.0.iter().peekable(), new.0.iter().peekable());
        std::iter::from_fn(move || {
            loop {
                let order = match (old.peek(), new.peek()) {
                    // Nearly all are the same, and their names need not be compared.
                    (Some(before), Some(after)) if Arc::ptr_eq(&before.entry, &after.entry) => {
                        old.next();
                        new.next();
                        continue;
                    }
                    (Some(before), Some(after)) => before.name().cmp(after.name()),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => return None,
                };
                return Some(match order {
                    Ordering::Less => (old.next(), None),
                    Ordering::Equal => (old.next(), new.next()),
                    Ordering::Greater => (None, new.next()),
                });
            }
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
