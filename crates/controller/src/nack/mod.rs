//! What Envoy refuses is traced back to the resource that caused it, and that resource alone is left out.
//!
//! ```text
//! rejection of an Envoy resource ─▶ what it was made from ─▶ what of that changed since all was well
//!    ─▶ leave some out and see (a hunt), first those that Envoy's words name · none: it is said of the Gateway
//! ```
//!
//! Envoy goes on with the last version that it took, so only resources that are new or changed are ever left out in a
//! hunt: nothing that works is disturbed. What one fleet's Envoys refuse is left out of that fleet only. It is tried again
//! when it is changed; and when something changes that it was made from, at growing intervals.

mod convicts;
mod hunt;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use api::{Addresses, Facts, ObjectRef, Rejection, Resources, RouteKind};
use convicts::{Case, Convicts};
use hunt::Hunt;
use xds::{Ledger, Version};

use crate::pipeline::{Fleet, Output};

/// The kinds that are never left out. Most are a whole Gateway, not a part of it: without one, ports that work would be
/// closed. Envoy's words are put on the Gateway instead.
const NEVER_LEFT_OUT: [&str; 7] =
    ["GatewayClass", "Gateway", "ListenerSet", "EnvoyProxy", "Namespace", "Secret", "ConfigMap"];

/// Keeps book of what Envoy refuses.
#[derive(Debug, Default)]
pub struct Nacks {
    convicts: Convicts,
    good: BTreeMap<Arc<str>, Good>,
    hunts: BTreeMap<Arc<str>, Search>,
    /// By fleet: what Envoy refuses of which no single resource is to blame, and its words.
    refused: BTreeMap<Arc<str>, Refused>,
    facts: Arc<Facts>,
}

/// What is refused, in which version and why.
type Refused = BTreeMap<EnvoyResource, (Version, String)>;

/// The type and the name of a resource of Envoy.
type EnvoyResource = (Arc<str>, Arc<str>);

/// With what all was well in a fleet, but for what is `refused`.
#[derive(Debug)]
struct Good {
    resources: Resources,
    fleet: Arc<Fleet>,
}

/// A hunt, and what it is about: as all was when it began.
#[derive(Debug)]
struct Search {
    hunt: Hunt,
    /// Whom to try when it was none of these.
    others: Vec<ObjectRef>,
    resource: EnvoyResource,
    /// Its version with all suspects in, which it has again when none of them was it.
    version: Version,
    /// What else was refused when it began: its turn comes when this is over.
    beside: BTreeSet<EnvoyResource>,
    fleet: Arc<Fleet>,
    resources: Resources,
}

/// An Envoy resource that is refused, where and why.
#[derive(Clone, Copy)]
struct Bad<'a> {
    fleet: &'a Arc<str>,
    resource: &'a EnvoyResource,
    version: Version,
    words: &'a str,
}

/// What Envoys say of the current snapshot of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// They have it all.
    Good,
    /// They refuse a resource, and why.
    Bad { resource: EnvoyResource, version: Version, words: Arc<str> },
    /// They have not answered yet.
    Open,
}

impl Search {
    /// What was found out. If anything else changed meanwhile, that could have been it.
    fn case(&self, culprit: ObjectRef, now: &Resources) -> Case {
        let made_from = self.fleet.lowered.surroundings(&self.resource.0, &self.resource.1, &culprit);
        let is_certain = is_same_input(&self.resources, now);
        Case::new(culprit, self.hunt.words(), made_from, &self.resources, is_certain)
    }
}

impl Nacks {
    /// What the next translation has to know.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Takes note of where fleets are reached. True when that is something else than before.
    pub fn take_addresses(&mut self, addresses: Addresses) -> bool {
        let addresses = Some(addresses);
        if addresses == self.facts.addresses {
            return false;
        }
        self.facts = Arc::new(Facts { addresses, ..Facts::clone(&self.facts) });
        true
    }

    /// Takes note of what the single sign-on service refuses. True when that is something else than before.
    pub fn take_refused_logins(&mut self, refused_logins: &BTreeMap<ObjectRef, Rejection>) -> bool {
        if *refused_logins == self.facts.refused_logins {
            return false;
        }
        self.facts = Arc::new(Facts { refused_logins: refused_logins.clone(), ..Facts::clone(&self.facts) });
        true
    }

    /// Why, by fleet, where Envoy refuses something that no single resource can be blamed for.
    pub fn refused(&self) -> BTreeMap<Arc<str>, String> {
        let words = |refused: &Refused| {
            let each: BTreeSet<&str> = refused.values().map(|(_, words)| words.as_str()).collect();
            format!("Envoy refused it: {}", Vec::from_iter(each).join("; "))
        };
        self.refused.iter().map(|(fleet, refused)| (Arc::clone(fleet), words(refused))).collect()
    }

    /// When to observe again though nothing happened: something is due for another chance.
    pub fn due(&self) -> Option<Instant> {
        self.convicts.due()
    }

    /// Looks at Envoys' answers to an output. True when the facts changed, so that it has to be made anew.
    pub fn observe(&mut self, output: &Output, ledger: &Ledger, now: Instant) -> bool {
        self.forget(output, now);
        // An answer to what was made from other facts says nothing of these.
        if self.renew(&output.resources) || !Arc::ptr_eq(&output.resources.facts, &self.facts) {
            return true;
        }
        for (name, fleet) in &output.fleets {
            self.clear(name, fleet, ledger);
            match self.hunts.contains_key(name) {
                true => self.go_on((name, fleet), &output.resources, ledger, now),
                false => self.judge((name, fleet), &output.resources, ledger),
            }
        }
        self.renew(&output.resources)
    }

    /// Takes an answer to what a hunt tries. What else is refused meanwhile is looked at when it is over.
    fn go_on(&mut self, (name, fleet): (&Arc<str>, &Fleet), resources: &Resources, ledger: &Ledger, now: Instant) {
        let refused = self.refused.get(name);
        let Some(mut search) = self.hunts.remove(name) else { return };
        // Leaving things out may change names, but not types.
        let is_of_hunt = |resource: &EnvoyResource| {
            resource.0 == search.resource.0 && !is_in(refused, resource) && !search.beside.contains(resource)
        };
        match search.hunt.judge(&verdict(name, fleet, ledger, is_of_hunt)) {
            hunt::Step::Wait | hunt::Step::Try => drop(self.hunts.insert(Arc::clone(name), search)),
            hunt::Step::Found(culprit) => self.reject(name, search.case(culprit, resources), now),
            hunt::Step::Lost if !search.others.is_empty() => {
                search.hunt = Hunt::new(std::mem::take(&mut search.others), search.hunt.words());
                self.hunts.insert(Arc::clone(name), search);
            }
            // Something else that came meanwhile may be it.
            hunt::Step::Lost if !is_same_input(&search.resources, resources) => {}
            hunt::Step::Lost => {
                let (resource, version, words) = (&search.resource, search.version, search.hunt.words());
                self.refuse(Bad { fleet: name, resource, version, words });
            }
        }
    }

    fn judge(&mut self, (name, fleet): (&Arc<str>, &Arc<Fleet>), resources: &Resources, ledger: &Ledger) {
        loop {
            let refused = self.refused.get(name);
            match verdict(name, fleet, ledger, |resource| !is_in(refused, resource)) {
                Verdict::Open => return,
                Verdict::Good => {
                    self.convicts.acquit(name);
                    let good = Good { resources: resources.clone(), fleet: Arc::clone(fleet) };
                    self.good.insert(Arc::clone(name), good);
                    return;
                }
                Verdict::Bad { resource, version, words } => {
                    let all = rejections(name, fleet, ledger).map(|(resource, ..)| resource);
                    let beside = all.filter(|other| *other != resource).collect();
                    self.blame(
                        Bad { fleet: name, resource: &resource, version, words: &words },
                        beside,
                        fleet,
                        resources,
                    );
                    // Where nothing can be left out, the next one is looked at.
                    if !is_in(self.refused.get(name), &resource) {
                        return;
                    }
                }
            }
        }
    }

    fn blame(&mut self, bad: Bad<'_>, beside: BTreeSet<EnvoyResource>, fleet: &Arc<Fleet>, resources: &Resources) {
        let Bad { fleet: name, resource, version, words } = bad;
        let (url, own_name) = resource;
        tracing::error!(
            component = "xds-server",
            fleet = &**name,
            type_url = &**url,
            resource = &**own_name,
            words,
            "Envoy refused a resource"
        );
        if words::blame_the_machine(words) {
            return self.refuse(bad);
        }
        let mut sources = fleet.lowered.sources(url, own_name);
        sources
            .retain(|source| !NEVER_LEFT_OUT.contains(&source.kind.as_str()) && !self.convicts.contains(name, source));
        // The name of the Envoy resource tells of resources, too, but that is no blame.
        let said = words.replace(&**own_name, "");
        let mut suspects = self.changed(bad, &sources, resources);
        let named = words::named(if suspects.is_empty() { &sources } else { &suspects }, resources, &said);
        let mut others = Vec::new();
        match (suspects.is_empty(), named.len()) {
            (false, 0) => {}
            (true, 1) | (false, _) => others = std::mem::replace(&mut suspects, named),
            (true, _) => return self.refuse(bad),
        }
        if others.len() == suspects.len() {
            others.clear();
        }
        // A policy or filter shows only where its route is in.
        for list in [&mut suspects, &mut others] {
            list.sort_by_key(|suspect| RouteKind::parse(&suspect.kind).is_none());
        }
        let (resource, fleet, resources) = (resource.clone(), Arc::clone(fleet), resources.clone());
        let hunt = Hunt::new(suspects, words);
        let search = Search { hunt, others, resource, version, beside, fleet, resources };
        self.hunts.insert(Arc::clone(name), search);
    }

    /// What of the sources is not as it was when all was well, or had no part in Envoy's configuration then.
    fn changed(&self, bad: Bad<'_>, sources: &[ObjectRef], resources: &Resources) -> Vec<ObjectRef> {
        let Some(good) = self.good.get(bad.fleet) else { return sources.to_vec() };
        let taken = good.fleet.lowered.sources_of_type(&bad.resource.0);
        let changed =
            |source: &&ObjectRef| !taken.contains(source) || good.resources.get(source) != resources.get(source);
        sources.iter().filter(changed).cloned().collect()
    }

    fn reject(&mut self, fleet: &Arc<str>, case: Case, now: Instant) {
        tracing::error!(
            component = "xds-server",
            fleet = &**fleet,
            resource = %case.culprit(),
            words = case.words(),
            "Envoy refused it, it is left out"
        );
        self.convicts.add(fleet, case, now);
    }

    fn refuse(&mut self, bad: Bad<'_>) {
        let Bad { fleet, resource, version, words } = bad;
        tracing::error!(
            component = "xds-server",
            fleet = &**fleet,
            words,
            "Envoy refused it, and no single resource can be left out"
        );
        self.refused.entry(Arc::clone(fleet)).or_default().insert(resource.clone(), (version, words.to_owned()));
    }

    /// Forgets what of a fleet is no longer refused.
    fn clear(&mut self, name: &Arc<str>, fleet: &Fleet, ledger: &Ledger) {
        let Some(refused) = self.refused.get_mut(name) else { return };
        let is_answered = ledger.answered(name) >= Some(fleet.snapshot.revision());
        let still = rejections(name, fleet, ledger).map(|(resource, version, words)| (resource, (version, words)));
        let still: BTreeMap<_, _> = still.collect();
        refused.retain(|resource, (version, words)| {
            let is_there = fleet.snapshot.resources(&resource.0).get(&resource.1).is_some();
            match still.get(resource) {
                // Another version, for another reason: that is somebody else's doing.
                Some((now, why)) if now != version && ***why != **words => false,
                Some((now, _)) => {
                    *version = *now;
                    is_there
                }
                None => is_there && !is_answered,
            }
        });
        if refused.is_empty() {
            self.refused.remove(name);
        }
    }

    /// Who gets another chance does, and what is gone is forgotten.
    fn forget(&mut self, output: &Output, now: Instant) {
        let is_fleet = |name: &str| output.fleets.contains_key(name);
        self.convicts.release(is_fleet, |name| self.hunts.contains_key(name), &output.resources, now);
        self.good.retain(|name, _| output.fleets.contains_key(name));
        self.hunts.retain(|name, _| output.fleets.contains_key(name));
        self.refused.retain(|name, _| output.fleets.contains_key(name));
    }

    fn renew(&mut self, resources: &Resources) -> bool {
        let mut rejected = self.convicts.rejected();
        for (name, Search { hunt, .. }) in &self.hunts {
            let message =
                format!("left out while it is found out which of what is new Envoy refuses: {}", hunt.words());
            let rejected = rejected.entry(Arc::clone(name)).or_default();
            for reference in hunt.left_out() {
                let rejection = Rejection { generation: generation(resources, reference), message: message.clone() };
                rejected.entry(reference.clone()).or_insert(rejection);
            }
        }
        if rejected == self.facts.rejected {
            return false;
        }
        self.facts = Arc::new(Facts { rejected, ..Facts::clone(&self.facts) });
        true
    }
}

fn generation(resources: &Resources, reference: &ObjectRef) -> i64 {
    resources.get(reference).and_then(|object| object.meta().generation).unwrap_or_default()
}

/// Whether nothing differs but end points and facts.
fn is_same_input(before: &Resources, now: &Resources) -> bool {
    let before = Resources { facts: Arc::clone(&now.facts), ..before.clone() };
    before.same_surroundings(now) && RouteKind::ALL.into_iter().all(|kind| before.routes(kind).same(now.routes(kind)))
}

fn is_in(refused: Option<&Refused>, resource: &EnvoyResource) -> bool {
    refused.is_some_and(|refused| refused.contains_key(resource))
}

/// What a fleet's Envoys refuse of what is current, in which version and why.
fn rejections<'a>(
    name: &'a str,
    fleet: &'a Fleet,
    ledger: &'a Ledger,
) -> impl Iterator<Item = (EnvoyResource, Version, &'a Arc<str>)> {
    let current = |(url, resource, rejection): &(&Arc<str>, &Arc<str>, &xds::Rejection)| {
        let known = fleet.snapshot.resources(url);
        known.get(resource).is_some_and(|known| known.version() == rejection.version)
    };
    let all = ledger.rejections(name).filter(current);
    all.map(|(url, resource, rejection)| {
        ((Arc::clone(url), Arc::clone(resource)), rejection.version, &rejection.message)
    })
}

/// What Envoys say, of rejections only those that count.
fn verdict(name: &str, fleet: &Fleet, ledger: &Ledger, counts: impl Fn(&EnvoyResource) -> bool) -> Verdict {
    let mut counting = rejections(name, fleet, ledger).filter(|(resource, ..)| counts(resource));
    if let Some((resource, version, words)) = counting.next() {
        return Verdict::Bad { resource, version, words: Arc::clone(words) };
    }
    match ledger.answered(name) {
        Some(answered) if answered >= fleet.snapshot.revision() => Verdict::Good,
        _ => Verdict::Open,
    }
}
