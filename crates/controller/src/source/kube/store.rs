//! All that was read, together: which of it is in force, and what is wrong.
//!
//! Services, ServiceImports and their EndpointSlices are in force while something refers to them. The others are kept aside as
//! text: a change of them is no change for translation, and they take a fifth of the memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use api::{Object, ObjectRef, Resources, SliceOwner, Stored, slices::owners};
use kube::Client;
use serde_json::Value;

use super::{
    fetch::{Answer, Fetched, Fetcher},
    read::{Item, Unreadable},
    records::Records,
    watcher::{Form, Id, Watcher},
};
use crate::source::{Problem, Seen};

/// What the watchers told.
pub(super) struct Store {
    watchers: Vec<Watching>,
    held: HashMap<Arc<ObjectRef>, Held>,
    /// The slices of each Service and ServiceImport.
    slices: HashMap<Arc<ObjectRef>, BTreeSet<Arc<ObjectRef>>>,
    /// What is referred to, and by how many.
    wanted: HashMap<Arc<ObjectRef>, usize>,
    pub(super) fetcher: Fetcher,
    /// Whether only some namespaces are read, those that are in force.
    by_label: bool,
    resources: Resources,
    problems: BTreeMap<Arc<ObjectRef>, Vec<Problem>>,
    records: Records,
}

/// How far a watcher is.
#[derive(Debug)]
struct Watching {
    row: &'static api::Kind,
    namespace: Option<Arc<str>>,
    form: Form,
    /// The number of the list that is read, or was.
    round: u64,
    listed: bool,
    trouble: Option<Problem>,
}

/// One object.
#[derive(Debug)]
struct Held {
    watcher: Id,
    /// The list that named it last.
    round: u64,
    references: Vec<Arc<ObjectRef>>,
    /// Whose end points it has.
    owners: Vec<Arc<ObjectRef>>,
    /// The object, while nothing refers to it.
    aside: Option<Box<str>>,
}

impl Store {
    pub(super) fn new(watchers: &[Watcher], by_label: bool, client: Client, records: Records) -> Self {
        let watching = |watcher: &Watcher| Watching {
            row: watcher.row,
            namespace: watcher.namespace.clone(),
            form: watcher.form,
            round: 0,
            listed: false,
            trouble: None,
        };
        Self {
            watchers: watchers.iter().map(watching).collect(),
            held: HashMap::new(),
            slices: HashMap::new(),
            wanted: HashMap::new(),
            fetcher: Fetcher::new(client),
            by_label,
            resources: Resources::default(),
            problems: BTreeMap::new(),
            records,
        }
    }

    /// Whether all kinds were listed once.
    pub(super) fn is_listed(&self) -> bool {
        self.watchers.iter().all(|watcher| watcher.listed)
    }

    /// What is in force, and what is wrong.
    pub(super) fn seen(&self) -> Seen {
        let troubles = self.watchers.iter().filter_map(|watcher| watcher.trouble.clone());
        let mut problems: Vec<_> = troubles.chain(self.problems.values().flatten().cloned()).collect();
        problems.sort();
        // Several watchers may have the same trouble.
        problems.dedup();
        Seen { resources: self.resources.clone(), problems: problems.into() }
    }

    /// Whether all namespaces were listed once.
    pub(super) fn knows_namespaces(&self) -> bool {
        self.watchers.iter().filter(|watcher| watcher.row.kind == "Namespace").all(|watcher| watcher.listed)
    }

    /// Whether these are the names of all namespaces.
    pub(super) fn has_namespaces(&self, names: &BTreeSet<String>) -> bool {
        let known = self.resources.namespaces.iter().filter_map(|namespace| namespace.metadata.name.as_ref());
        known.eq(names)
    }

    /// The names of all namespaces.
    pub(super) fn namespaces(&self) -> BTreeSet<String> {
        self.resources.namespaces.iter().filter_map(|namespace| namespace.metadata.name.clone()).collect()
    }

    pub(super) fn begin(&mut self, id: Id) {
        self.watchers[id].round += 1;
    }

    /// Whether a watcher's resources are Namespaces.
    pub(super) fn is_of_namespaces(&self, id: Id) -> bool {
        self.watchers[id].row.kind == "Namespace"
    }

    pub(super) fn trouble(&mut self, id: Id, trouble: Option<Problem>) {
        self.watchers[id].trouble = trouble;
    }

    /// What a complete list did not name is gone.
    pub(super) fn listed(&mut self, id: Id) {
        let watcher = &mut self.watchers[id];
        watcher.listed = true;
        let round = watcher.round;
        if watcher.form == Form::Touched {
            self.fetcher.listed(watcher.row, watcher.namespace.as_deref(), round);
            return;
        }
        let unnamed = self.held.iter().filter(|(_, held)| held.watcher == id && held.round < round);
        let unnamed: Vec<_> = unnamed.map(|(reference, _)| Arc::clone(reference)).collect();
        unnamed.iter().for_each(|reference| self.gone(id, reference));
    }

    pub(super) fn put(&mut self, id: Id, item: Item) {
        let Watching { form, round, .. } = self.watchers[id];
        if form == Form::Touched {
            if self.wanted.contains_key(&item.reference) && self.is_watched(&item.reference) {
                self.fetcher.touched(&item.reference, Some(&item.resource_version), round);
            }
            return;
        }
        let reference = item.reference;
        if let Some(record) = item.record {
            self.records.set(&reference, Some(record));
        }
        self.tell(&reference, item.problems);
        let held = self.held.entry(Arc::clone(&reference));
        let held = held.or_insert(Held { watcher: id, round, references: Vec::new(), owners: Vec::new(), aside: None });
        (held.watcher, held.round) = (id, round);
        if let Some(object) = item.object {
            self.refer(&reference, item.references);
            self.hold(&reference, object);
        } else if let Some(unreadable) = item.unreadable {
            self.note_unreadable(&reference, unreadable);
        }
    }

    /// A good version stays in force. Where there is none, it is noted that there is something that nobody can read.
    fn note_unreadable(&mut self, reference: &ObjectRef, Unreadable { why, stand_in }: Unreadable) {
        let is_aside = self.held.get(reference).is_some_and(|held| held.aside.is_some());
        let is_in_force = self.resources.get(reference).is_some() && !self.resources.unreadable.contains_key(reference);
        if !is_aside && !is_in_force {
            self.resources.insert_unreadable(reference.clone(), &why, stand_in);
        }
    }

    pub(super) fn gone(&mut self, id: Id, reference: &ObjectRef) {
        if self.watchers[id].form == Form::Touched {
            let wanted = self.wanted.get_key_value(reference).filter(|(key, _)| self.is_watched(key));
            if let Some(key) = wanted.map(|(key, _)| Arc::clone(key)) {
                self.fetcher.touched(&key, None, self.watchers[id].round);
            }
            return;
        }
        let Some((key, held)) = self.held.remove_entry(reference) else { return };
        self.records.set(&key, None);
        self.problems.remove(reference);
        held.references.iter().for_each(|to| self.unwant(to));
        held.owners.iter().for_each(|owner| self.leave_owner(owner, reference));
        self.resources.remove(reference);
        if self.by_label && reference.kind == "Namespace" {
            self.leave(&reference.name);
        }
    }

    /// Nothing of this namespace is read any more.
    fn leave(&mut self, namespace: &str) {
        let contents = self.wanted.keys().filter(|to| !has_slices(to) && to.namespace == namespace);
        let contents: Vec<_> = contents.cloned().collect();
        contents.iter().for_each(|to| self.forget(to));
    }

    fn forget(&mut self, content: &ObjectRef) {
        self.fetcher.forget(content);
        self.problems.remove(content);
        self.resources.remove(content);
    }

    /// Takes the content of a Secret or ConfigMap.
    pub(super) fn fetched(&mut self, answer: Answer) {
        let reference = Arc::clone(&answer.0);
        match self.fetcher.take(answer) {
            Fetched::Nothing => {}
            Fetched::Gone => {
                self.problems.remove(&reference);
                self.resources.remove(&reference);
            }
            Fetched::Content(item) => {
                self.tell(&reference, item.problems);
                if let Some(object) = item.object {
                    self.resources.insert(object);
                }
            }
        }
    }

    fn tell(&mut self, reference: &Arc<ObjectRef>, problems: Vec<Problem>) {
        match problems.is_empty() {
            true => drop(self.problems.remove(reference)),
            false => drop(self.problems.insert(Arc::clone(reference), problems)),
        }
    }

    /// Puts an object into force, or aside.
    fn hold(&mut self, reference: &Arc<ObjectRef>, object: Object) {
        let owners = owners_of(&object);
        let needed = match &object {
            Object::Service(_) | Object::ServiceImport(_) => self.wanted.contains_key(reference),
            Object::EndpointSlice(_) => owners.iter().any(|owner| self.wanted.contains_key(owner)),
            _ => true,
        };
        self.join_owners(reference, owners);
        let aside = if needed { None } else { pack(&object) };
        if needed {
            self.resources.insert(object);
        } else {
            self.resources.remove(reference);
        }
        if let Some(held) = self.held.get_mut(reference) {
            held.aside = aside;
        }
    }

    /// A slice has end points of these from now on.
    fn join_owners(&mut self, slice: &Arc<ObjectRef>, owners: Vec<Arc<ObjectRef>>) {
        let Some(held) = self.held.get_mut(slice).filter(|held| held.owners != owners) else { return };
        let before = std::mem::replace(&mut held.owners, owners.clone());
        before.iter().for_each(|owner| self.leave_owner(owner, slice));
        for owner in owners {
            self.slices.entry(owner).or_default().insert(Arc::clone(slice));
        }
    }

    fn leave_owner(&mut self, owner: &ObjectRef, slice: &ObjectRef) {
        if let Some(slices) = self.slices.get_mut(owner) {
            slices.remove(slice);
            if slices.is_empty() {
                self.slices.remove(owner);
            }
        }
    }

    /// An object refers to these from now on.
    fn refer(&mut self, reference: &ObjectRef, to: Vec<ObjectRef>) {
        let Some(held) = self.held.get_mut(reference) else { return };
        if held.references.iter().map(|reference| &**reference).eq(to.iter()) {
            return;
        }
        let before = std::mem::take(&mut held.references);
        let now: Vec<_> = to.into_iter().map(|to| self.want(to)).collect();
        before.iter().for_each(|to| self.unwant(to));
        if let Some(held) = self.held.get_mut(reference) {
            held.references = now;
        }
    }

    fn want(&mut self, to: ObjectRef) -> Arc<ObjectRef> {
        if let Some((key, _)) = self.wanted.get_key_value(&to) {
            let key = Arc::clone(key);
            self.wanted.entry(Arc::clone(&key)).and_modify(|count| *count += 1);
            return key;
        }
        let to = Arc::new(to);
        self.wanted.insert(Arc::clone(&to), 1);
        if has_slices(&to) {
            self.with_slices(&to).iter().for_each(|reference| self.bring_in(reference));
        } else if self.is_watched(&to) {
            self.fetcher.want(&to);
        }
        to
    }

    fn unwant(&mut self, to: &Arc<ObjectRef>) {
        let Some(count) = self.wanted.get_mut(to) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.wanted.remove(to);
        if has_slices(to) {
            self.with_slices(to).iter().for_each(|reference| self.put_aside(reference));
        } else {
            self.forget(to);
        }
    }

    /// Whether something in this namespace may be asked for.
    fn is_watched(&self, reference: &ObjectRef) -> bool {
        let watches = |watcher: &Watching| {
            watcher.row.kind == reference.kind
                && watcher.namespace.as_deref().is_none_or(|namespace| namespace == reference.namespace)
        };
        let is_chosen = !self.by_label || self.resources.namespaces.get("", &reference.namespace).is_some();
        is_chosen && self.watchers.iter().any(watches)
    }

    /// A Service or ServiceImport and its slices.
    fn with_slices(&self, owner: &Arc<ObjectRef>) -> Vec<Arc<ObjectRef>> {
        let slices = self.slices.get(owner).into_iter().flatten().cloned();
        slices.chain([Arc::clone(owner)]).collect()
    }

    fn bring_in(&mut self, reference: &ObjectRef) {
        let aside = self.held.get_mut(reference).and_then(|held| held.aside.take());
        if let Some(object) = aside.as_deref().and_then(unpack) {
            self.resources.insert(object);
        }
    }

    fn put_aside(&mut self, reference: &ObjectRef) {
        let (Some(held), Some(object)) = (self.held.get_mut(reference), self.resources.get(reference)) else { return };
        // A slice may have another owner that is still referred to.
        if held.owners.iter().any(|owner| self.wanted.contains_key(owner)) {
            return;
        }
        held.aside = pack(&object);
        self.resources.remove(reference);
    }
}

/// Whose end points a slice has.
fn owners_of(object: &Object) -> Vec<Arc<ObjectRef>> {
    let Object::EndpointSlice(slice) = object else { return Vec::new() };
    let reference = |(owner, name): (SliceOwner, &str)| {
        let (group, kind) = owner.group_kind();
        Arc::new(ObjectRef::new(group, kind, slice.namespace(), name))
    };
    owners(slice).map(reference).collect()
}

fn has_slices(reference: &ObjectRef) -> bool {
    SliceOwner::find(&reference.group, &reference.kind).is_some()
}

fn pack(object: &Object) -> Option<Box<str>> {
    let text = match object {
        Object::Service(service) => serde_json::to_string(&**service),
        Object::ServiceImport(import) => serde_json::to_string(&**import),
        Object::EndpointSlice(slice) => serde_json::to_string(&**slice),
        _ => return None,
    };
    text.ok().map(Into::into)
}

fn unpack(text: &str) -> Option<Object> {
    let document: Value = serde_json::from_str(text).ok()?;
    api::parse(document).ok().map(|parsed| parsed.object)
}
