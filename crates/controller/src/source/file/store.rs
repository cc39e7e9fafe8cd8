//! All files together: which resource counts where several files name it, generations, and implied namespaces.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use api::{Namespace, Object, ObjectMeta, ObjectRef, Resources};

use super::{
    contents::{Contents, double},
    document::{Entry, NAMESPACE_LABEL},
};
use crate::source::{Problem, Seen};

/// The resources of all files.
#[derive(Debug, Default)]
pub(super) struct Store {
    files: BTreeMap<Arc<str>, Contents>,
    /// The files with problems of their own.
    troubled: BTreeSet<Arc<str>>,
    slots: HashMap<Arc<ObjectRef>, Slot>,
    /// Resources that more than one file names.
    contested: BTreeSet<Arc<ObjectRef>>,
    /// How many resources each namespace holds.
    population: HashMap<String, usize>,
    resources: Resources,
}

/// One resource. It is remembered after its removal too, so that generations only grow.
#[derive(Debug, Default)]
struct Slot {
    /// The files that name it, in order; the first counts.
    files: Vec<Arc<str>>,
    /// What is in the tables.
    present: Option<Arc<Entry>>,
    generation: i64,
    body: u64,
}

impl Store {
    /// What was read of a file.
    pub(super) fn contents(&self, file: &str) -> Option<&Contents> {
        self.files.get(file)
    }

    /// Puts the contents of a file in place of what it had; `None` when the file is gone.
    pub(super) fn replace(&mut self, file: &Arc<str>, new: Option<Contents>) {
        let old = self.files.remove(file).unwrap_or_default();
        let fresh = new.unwrap_or_default();
        let mut touched: Vec<Arc<ObjectRef>> = Vec::new();
        for (before, now) in old.held.differences(&fresh.held) {
            match (before, now) {
                (Some(before), None) => self.unclaim(&before.entry.reference, file),
                (None, Some(now)) => self.claim(&now.entry.reference, file),
                _ => {}
            }
            touched.extend(now.or(before).map(|held| Arc::clone(&held.entry.reference)));
        }
        match fresh.problems().next().is_some() {
            true => self.troubled.insert(Arc::clone(file)),
            false => self.troubled.remove(file),
        };
        if !fresh.is_empty() {
            self.files.insert(Arc::clone(file), fresh);
        }
        for reference in touched {
            self.settle(&reference);
        }
    }

    /// Everything that is in force, and what is wrong.
    pub(super) fn seen(&self) -> Seen {
        let troubled = self.troubled.iter().filter_map(|file| self.files.get(file));
        let mut problems: Vec<Problem> = troubled.flat_map(Contents::problems).collect();
        problems.extend(self.contested.iter().flat_map(|reference| self.doubles(reference)));
        problems.sort();
        Seen { resources: self.resources.clone(), problems: problems.into() }
    }

    /// Where each resource that is in force stands: file and line.
    pub(super) fn places(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<str>, usize)> {
        self.slots.iter().filter_map(|(reference, slot)| {
            let file = slot.files.first()?;
            Some((&**reference, file, self.line(file, reference)))
        })
    }

    fn line(&self, file: &str, reference: &ObjectRef) -> usize {
        self.files.get(file).and_then(|contents| contents.held.get(reference)).map_or(0, |held| held.line)
    }

    fn claim(&mut self, reference: &Arc<ObjectRef>, file: &Arc<str>) {
        let slot = self.slots.entry(Arc::clone(reference)).or_default();
        if let Err(place) = slot.files.binary_search(file) {
            slot.files.reserve_exact(1);
            slot.files.insert(place, Arc::clone(file));
        }
        if slot.files.len() > 1 {
            self.contested.insert(Arc::clone(reference));
        }
    }

    fn unclaim(&mut self, reference: &Arc<ObjectRef>, file: &Arc<str>) {
        let Some(slot) = self.slots.get_mut(reference) else { return };
        slot.files.retain(|name| name != file);
        if slot.files.len() < 2 {
            self.contested.remove(reference);
        }
    }

    fn doubles(&self, reference: &ObjectRef) -> Vec<Problem> {
        let mut files = self.slots.get(reference).into_iter().flat_map(|slot| &slot.files);
        let Some(first) = files.next() else { return Vec::new() };
        let first = format!("{first}:{}", self.line(first, reference));
        files.map(|file| double(file, self.line(file, reference), reference, &first)).collect()
    }

    /// Makes the tables say what the first file says of this resource.
    fn settle(&mut self, reference: &ObjectRef) {
        let Some(slot) = self.slots.get_mut(reference) else { return };
        let held = slot.files.first().and_then(|file| self.files.get(file)?.held.get(reference));
        let before = std::mem::replace(&mut slot.present, held.map(|held| Arc::clone(&held.entry)));
        match (&before, &slot.present) {
            (Some(before), Some(now)) if Arc::ptr_eq(before, now) => {}
            (_, Some(now)) => {
                // The first one of all has generation 1.
                slot.generation += i64::from(slot.generation == 0 || slot.body != now.body);
                slot.body = now.body;
                let object = now.with_generation(slot.generation);
                match &now.unreadable {
                    Some(why) => self.resources.insert_unreadable(reference.clone(), why, Some(object)),
                    None => self.resources.insert(object),
                }
                if before.is_none() {
                    self.moved_in(&reference.namespace);
                }
            }
            (Some(_), None) => self.take(reference),
            (None, None) => {}
        }
    }

    fn take(&mut self, reference: &ObjectRef) {
        self.resources.remove(reference);
        self.moved_out(&reference.namespace);
        if reference.kind == "Namespace" && self.population.contains_key(&reference.name) {
            self.resources.insert(implied(&reference.name));
        }
    }

    /// A namespace that is used but not written down is taken to be there, without labels of its own.
    fn moved_in(&mut self, namespace: &str) {
        if namespace.is_empty() {
            return;
        }
        let count = self.population.entry(namespace.to_owned()).or_default();
        *count += 1;
        if *count == 1 && self.resources.namespaces.get("", namespace).is_none() {
            self.resources.insert(implied(namespace));
        }
    }

    fn moved_out(&mut self, namespace: &str) {
        let Some(count) = self.population.get_mut(namespace) else { return };
        *count -= 1;
        if *count == 0 {
            self.population.remove(namespace);
            let reference = ObjectRef::new("", "Namespace", "", namespace);
            let is_written_down = self.slots.get(&reference).is_some_and(|slot| !slot.files.is_empty());
            if !is_written_down {
                self.resources.remove(&reference);
            }
        }
    }
}

fn implied(name: &str) -> Object {
    let labels = BTreeMap::from([(NAMESPACE_LABEL.to_owned(), name.to_owned())]);
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    Object::Namespace(Arc::new(Namespace { metadata, ..Namespace::default() }))
}
