//! What Envoy refuses is traced back to the resource that caused it, and that resource alone is left out.
//!
//! ```text
//! rejection of an Envoy resource ─▶ what it was made from ─▶ what of that changed since all was well
//!    ─▶ one: that is it · several: the one that Envoy's words name · else: leave some out and see (a hunt)
//! ```
//!
//! Envoy goes on with the last version that it took, so only resources that are new or changed are ever left out in a
//! hunt: nothing that works is disturbed.

mod hunt;
#[cfg(test)]
mod tests;
mod words;

use std::{collections::BTreeMap, sync::Arc};

use api::{Addresses, Facts, ObjectRef, Rejection, Resources};
use hunt::Hunt;
use xds::Ledger;

use crate::pipeline::{Fleet, Output};

/// The kinds that are a whole Gateway, not a part of it: leaving one out would close ports that work. Envoy's words are
/// put on the Gateway instead.
const WHOLE: [&str; 5] = ["GatewayClass", "Gateway", "ListenerSet", "EnvoyProxy", "Namespace"];

/// Keeps book of what Envoy refuses.
#[derive(Debug, Default)]
pub struct Nacks {
    /// The culprits that were found.
    rejected: BTreeMap<ObjectRef, Rejection>,
    /// By fleet: the resources with which all was well.
    good: BTreeMap<Arc<str>, Resources>,
    hunts: BTreeMap<Arc<str>, Hunt>,
    refused: BTreeMap<Arc<str>, String>,
    facts: Arc<Facts>,
}

/// What Envoys say of the current snapshot of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// They have it all.
    Good,
    /// They refuse a resource: its type and name, and why.
    Bad { type_url: Arc<str>, name: Arc<str>, words: Arc<str> },
    /// They have not answered yet.
    Open,
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
    pub fn refused(&self) -> &BTreeMap<Arc<str>, String> {
        &self.refused
    }

    /// Looks at Envoys' answers to an output. True when the facts changed, so that it has to be made anew.
    pub fn observe(&mut self, output: &Output, ledger: &Ledger) -> bool {
        self.forget(output);
        // An answer to what was made from other facts says nothing of these.
        if Arc::ptr_eq(&output.resources.facts, &self.facts) {
            for (name, fleet) in &output.fleets {
                self.judge(name, fleet, output, verdict(name, fleet, ledger));
            }
        }
        self.renew(&output.resources)
    }

    fn judge(&mut self, name: &Arc<str>, fleet: &Fleet, output: &Output, verdict: Verdict) {
        if let Some(hunt) = self.hunts.get_mut(name) {
            match hunt.judge(&verdict) {
                hunt::Step::Wait | hunt::Step::Try => {}
                hunt::Step::Found(culprit) => {
                    let words = hunt.words().to_owned();
                    self.hunts.remove(name);
                    self.reject(&culprit, &words, &output.resources);
                }
                hunt::Step::Lost => {
                    let words = hunt.words().to_owned();
                    self.hunts.remove(name);
                    self.refuse(name, &words);
                }
            }
            return;
        }
        match verdict {
            Verdict::Open => {}
            Verdict::Good => {
                self.refused.remove(name);
                self.good.insert(Arc::clone(name), output.resources.clone());
            }
            Verdict::Bad { type_url, name: resource, words } => {
                if !self.refused.contains_key(name) {
                    self.blame(name, fleet, &output.resources, (&type_url, &resource, &words));
                }
            }
        }
    }

    fn blame(&mut self, name: &Arc<str>, fleet: &Fleet, resources: &Resources, bad: (&str, &str, &str)) {
        let (type_url, resource, words) = bad;
        tracing::error!(
            component = "xds-server",
            fleet = &**name,
            type_url,
            resource,
            words,
            "Envoy refused a resource"
        );
        let suspects = self.suspects(name, fleet, resources, (type_url, resource));
        let named = words::named(&suspects, resources, words);
        match (suspects.as_slice(), named.as_slice()) {
            ([], _) => self.refuse(name, words),
            ([only], _) | (_, [only]) => self.reject(only, words, resources),
            (_, []) => drop(self.hunts.insert(Arc::clone(name), Hunt::new(suspects, words))),
            (_, several) => drop(self.hunts.insert(Arc::clone(name), Hunt::new(several.to_vec(), words))),
        }
    }

    /// What the Envoy resource was made from: of that, what changed since all was well; or all, if nothing did.
    fn suspects(&self, name: &str, fleet: &Fleet, resources: &Resources, bad: (&str, &str)) -> Vec<ObjectRef> {
        let mut all = fleet.lowered.sources(bad.0, bad.1);
        all.retain(|source| !WHOLE.contains(&source.kind.as_str()) && !self.rejected.contains_key(source));
        let good = self.good.get(name);
        let changed = |source: &&ObjectRef| {
            good.is_none_or(|good| {
                good.get(source).is_none() || generation(good, source) != generation(resources, source)
            })
        };
        let changed: Vec<_> = all.iter().filter(changed).cloned().collect();
        if changed.is_empty() { all } else { changed }
    }

    fn reject(&mut self, culprit: &ObjectRef, words: &str, resources: &Resources) {
        tracing::error!(component = "xds-server", resource = %culprit, words, "Envoy refused it, it is left out");
        let generation = generation(resources, culprit);
        self.rejected.insert(culprit.clone(), Rejection { generation, message: words.to_owned() });
    }

    fn refuse(&mut self, name: &Arc<str>, words: &str) {
        tracing::error!(
            component = "xds-server",
            fleet = &**name,
            words,
            "Envoy refused it, and no single resource can be left out"
        );
        self.refused.insert(Arc::clone(name), format!("Envoy refused it: {words}"));
    }

    /// A resource that was changed since gets another chance, and what is gone is forgotten.
    fn forget(&mut self, output: &Output) {
        let resources = &output.resources;
        self.rejected.retain(|reference, rejection| {
            resources
                .get(reference)
                .is_some_and(|object| object.meta().generation.unwrap_or_default() == rejection.generation)
        });
        self.good.retain(|name, _| output.fleets.contains_key(name));
        self.hunts.retain(|name, _| output.fleets.contains_key(name));
        self.refused.retain(|name, _| output.fleets.contains_key(name));
    }

    fn renew(&mut self, resources: &Resources) -> bool {
        let mut rejected = self.rejected.clone();
        for hunt in self.hunts.values() {
            let message =
                format!("left out while it is found out which of several changes Envoy refuses: {}", hunt.words());
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

fn verdict(name: &str, fleet: &Fleet, ledger: &Ledger) -> Verdict {
    let current =
        |type_url: &str, resource: &str| fleet.snapshot.resources(type_url).get(resource).map(|known| known.version());
    let bad =
        ledger.rejections(name).find(|(url, resource, rejection)| current(url, resource) == Some(rejection.version));
    if let Some((type_url, resource, rejection)) = bad {
        return Verdict::Bad {
            type_url: Arc::clone(type_url),
            name: Arc::clone(resource),
            words: Arc::clone(&rejection.message),
        };
    }
    match ledger.acked(name) {
        Some(acked) if acked >= fleet.snapshot.revision() => Verdict::Good,
        _ => Verdict::Open,
    }
}
