//! The culprits that were found, and when they get another chance.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    Object, ObjectMeta, ObjectRef, Rejection, Resources, Stored,
    ext::{BackendTrafficPolicy, EnvoyExtensionPolicy, SecurityPolicy},
};

/// How long a culprit waits for another chance at least; each one in vain doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And at most: what changes without an end must not make Envoy refuse without an end.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A fleet, and a resource that its Envoys refuse.
type Key = (Arc<str>, ObjectRef);

/// What was refused: the resource, why, and with what around it.
#[derive(Debug)]
pub(super) struct Case {
    culprit: ObjectRef,
    words: String,
    /// What the refused part was made from, with the culprit, as it was then.
    made_from: Vec<(ObjectRef, Option<Object>)>,
    /// What else goes into policies: those that they are merged with, and what they refer to. Nothing for others.
    around: Option<Resources>,
    is_certain: bool,
}

/// All culprits.
#[derive(Debug, Default)]
pub(super) struct Convicts {
    all: BTreeMap<Key, Convict>,
    /// Who has another chance, and the pause before it. Envoys have not answered yet.
    chances: BTreeMap<Key, Duration>,
    /// When the next one is due that waits for its chance.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Convict {
    case: Case,
    pause: Duration,
    until: Instant,
}

impl Convicts {
    /// Whether a fleet's Envoys refuse it.
    pub(super) fn contains(&self, fleet: &Arc<str>, reference: &ObjectRef) -> bool {
        self.all.contains_key(&(Arc::clone(fleet), reference.clone()))
    }

    /// When to look again though nothing happened.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Puts one in.
    pub(super) fn add(&mut self, fleet: &Arc<str>, case: Case, now: Instant) {
        let key = (Arc::clone(fleet), case.culprit.clone());
        let pause = self.chances.remove(&key).map_or(FIRST_PAUSE, |pause| LONGEST_PAUSE.min(2 * pause));
        self.all.insert(key, Convict { case, pause, until: now + pause });
    }

    /// Lets go of those that were changed and of those whose time has come: what they were made from was changed, they have
    /// waited, and no hunt would be misled. What is gone is forgotten.
    pub(super) fn release(
        &mut self,
        is_fleet: impl Fn(&str) -> bool,
        is_hunting: impl Fn(&str) -> bool,
        resources: &Resources,
        now: Instant,
    ) {
        let Self { all, chances, due } = self;
        *due = None;
        chances.retain(|(fleet, _), _| is_fleet(fleet));
        all.retain(|key, convict| {
            if !is_fleet(&key.0) || convict.case.is_another(resources) {
                return false;
            }
            if convict.case.is_as_it_was(resources) {
                return true;
            }
            match (convict.until <= now, is_hunting(&key.0)) {
                // It is looked at again when the hunt is over.
                (_, true) => true,
                (true, false) => {
                    chances.insert(key.clone(), convict.pause);
                    false
                }
                (false, false) => {
                    *due = Some(due.map_or(convict.until, |due| due.min(convict.until)));
                    true
                }
            }
        });
    }

    /// A fleet's Envoys have taken whoever had another chance.
    pub(super) fn acquit(&mut self, fleet: &Arc<str>) {
        self.chances.retain(|(other, _), _| other != fleet);
    }

    /// What translation has to know.
    pub(super) fn rejected(&self) -> BTreeMap<Arc<str>, BTreeMap<ObjectRef, Rejection>> {
        let mut rejected = BTreeMap::<_, BTreeMap<_, _>>::new();
        for ((fleet, culprit), Convict { case, .. }) in &self.all {
            let generation = case.before().and_then(|meta| meta.generation).unwrap_or_default();
            let rejection = Rejection { generation, message: case.words.clone() };
            rejected.entry(Arc::clone(fleet)).or_default().insert(culprit.clone(), rejection);
        }
        rejected
    }
}

impl Case {
    /// `is_certain`: it was really this one; if not, it gets another chance anyway.
    pub(super) fn new(
        culprit: ObjectRef,
        words: &str,
        made_from: Vec<ObjectRef>,
        resources: &Resources,
        is_certain: bool,
    ) -> Self {
        let is_policy = [SecurityPolicy::KIND, EnvoyExtensionPolicy::KIND, BackendTrafficPolicy::KIND]
            .contains(&culprit.kind.as_str());
        let made_from = made_from.into_iter().map(|reference| {
            let object = resources.get(&reference);
            (reference, object)
        });
        Self {
            made_from: made_from.collect(),
            around: is_policy.then(|| resources.clone()),
            culprit,
            words: words.to_owned(),
            is_certain,
        }
    }

    pub(super) fn culprit(&self) -> &ObjectRef {
        &self.culprit
    }

    pub(super) fn words(&self) -> &str {
        &self.words
    }

    fn before(&self) -> Option<&ObjectMeta> {
        let own = self.made_from.iter().find(|(reference, _)| *reference == self.culprit);
        own.and_then(|(_, object)| object.as_ref()).map(Object::meta)
    }

    /// Whether the culprit is another object than then, or has another spec.
    fn is_another(&self, now: &Resources) -> bool {
        let now = now.get(&self.culprit);
        let identity = |meta: &ObjectMeta| (meta.uid.clone(), meta.generation);
        now.is_none() || self.before().map(identity) != now.as_ref().map(Object::meta).map(identity)
    }

    /// Whether it was this one, and nothing changed of what the refused part was made from.
    fn is_as_it_was(&self, now: &Resources) -> bool {
        self.is_certain
            && self.made_from.iter().all(|(reference, before)| *before == now.get(reference))
            && self.around.as_ref().is_none_or(|before| same_around(before, now))
    }
}

/// Whether nothing differs of what goes into policies.
fn same_around(before: &Resources, now: &Resources) -> bool {
    before.security_policies.same(&now.security_policies)
        && before.envoy_extension_policies.same(&now.envoy_extension_policies)
        && before.backend_traffic_policies.same(&now.backend_traffic_policies)
        && before.backends.same(&now.backends)
        && before.secrets.same(&now.secrets)
        && before.config_maps.same(&now.config_maps)
}
