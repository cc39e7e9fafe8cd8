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
    /// The files that name a resource, in order; the first counts.
    claims: HashMap<ObjectRef, BTreeSet<Arc<str>>>,
    /// Resources that more than one file names.
    contested: BTreeSet<ObjectRef>,
    /// What was last put into the tables. It is remembered after a removal too, so that generations only grow.
    last: HashMap<ObjectRef, Last>,
    /// How many resources each namespace holds.
    population: HashMap<String, usize>,
    resources: Resources,
}

/// What was last put into the tables for one resource.
#[derive(Debug)]
struct Last {
    entry: Arc<Entry>,
    generation: i64,
    present: bool,
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
        let mut touched = Vec::new();
        for reference in old.held.keys().filter(|reference| !fresh.held.contains_key(*reference)) {
            self.unclaim(reference, file);
            touched.push(reference.clone());
        }
        for (reference, held) in &fresh.held {
            match old.held.get(reference) {
                Some(before) if Arc::ptr_eq(&before.entry, &held.entry) => continue,
                Some(_) => {}
                None => self.claim(reference, file),
            }
            touched.push(reference.clone());
        }
        if fresh.held.is_empty() && fresh.problems().next().is_none() {
            drop(fresh);
        } else {
            self.files.insert(Arc::clone(file), fresh);
        }
        touched.sort();
        for reference in touched {
            self.settle(&reference);
        }
    }

    /// Everything that is in force, and what is wrong.
    pub(super) fn seen(&self) -> Seen {
        let mut problems: Vec<Problem> = self.files.values().flat_map(Contents::problems).collect();
        problems.extend(self.contested.iter().flat_map(|reference| self.doubles(reference)));
        problems.sort();
        Seen { resources: self.resources.clone(), problems: problems.into() }
    }

    /// Where each resource that is in force stands: file and line.
    pub(super) fn places(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<str>, usize)> {
        self.claims.iter().filter_map(|(reference, files)| {
            let file = files.first()?;
            let held = self.files.get(file)?.held.get(reference)?;
            Some((reference, file, held.line))
        })
    }

    fn claim(&mut self, reference: &ObjectRef, file: &Arc<str>) {
        let files = self.claims.entry(reference.clone()).or_default();
        files.insert(Arc::clone(file));
        if files.len() > 1 {
            self.contested.insert(reference.clone());
        }
    }

    fn unclaim(&mut self, reference: &ObjectRef, file: &Arc<str>) {
        let Some(files) = self.claims.get_mut(reference) else { return };
        files.remove(file);
        if files.len() < 2 {
            self.contested.remove(reference);
        }
        if files.is_empty() {
            self.claims.remove(reference);
        }
    }

    fn doubles(&self, reference: &ObjectRef) -> Vec<Problem> {
        let line = |file: &Arc<str>| {
            self.files.get(file).and_then(|contents| contents.held.get(reference)).map_or(0, |held| held.line)
        };
        let mut files = self.claims.get(reference).into_iter().flatten();
        let Some(first) = files.next() else { return Vec::new() };
        let first = format!("{first}:{}", line(first));
        files.map(|file| double(file, line(file), reference, &first)).collect()
    }

    /// Makes the tables say what the first file says of this resource.
    fn settle(&mut self, reference: &ObjectRef) {
        let first = self.claims.get(reference).and_then(|files| files.first());
        let held = first.and_then(|file| self.files.get(file)).and_then(|contents| contents.held.get(reference));
        match held.map(|held| Arc::clone(&held.entry)) {
            Some(entry) => self.put(reference, entry),
            None => self.take(reference),
        }
    }

    fn put(&mut self, reference: &ObjectRef, entry: Arc<Entry>) {
        let (generation, was_present) = match self.last.get(reference) {
            Some(last) if last.present && Arc::ptr_eq(&last.entry, &entry) => return,
            Some(last) => (last.generation + i64::from(last.entry.body != entry.body), last.present),
            None => (1, false),
        };
        self.resources.insert(entry.object.clone().with_generation(generation));
        self.last.insert(reference.clone(), Last { entry, generation, present: true });
        if !was_present {
            self.moved_in(&reference.namespace);
        }
    }

    fn take(&mut self, reference: &ObjectRef) {
        let Some(last) = self.last.get_mut(reference).filter(|last| last.present) else { return };
        last.present = false;
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
            if !self.claims.contains_key(&reference) {
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
