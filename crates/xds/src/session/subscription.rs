//! What a client wants of one type, and what a request changes in it.

use std::collections::BTreeSet;

use crate::resource::Name;

/// The name that stands for all resources of a type.
const WILDCARD: &str = "*";

/// What a client wants of one type.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    pub(super) wildcard: bool,
    pub(super) names: BTreeSet<Name>,
    /// A first request has been seen; only that one may mean "all" by naming nothing.
    started: bool,
}

/// What a request asks for.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// The type's first request on the stream.
    pub(super) first: bool,
    /// Names to be answered with what they are now, be it known to the client or not.
    pub(super) asked: Vec<Name>,
    /// The same for all resources.
    pub(super) all: bool,
    /// Some names are no longer wanted.
    pub(super) narrowed: bool,
}

impl Subscription {
    pub(super) fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// A delta request. Naming what is subscribed already counts as asking again: Envoy does so when it dropped what it
    /// had, and waits for the answer.
    pub(super) fn delta(&mut self, subscribe: &[String], unsubscribe: &[String]) -> Interest {
        let mut interest = Interest { first: !self.started, ..Interest::default() };
        self.started = true;
        if interest.first && subscribe.is_empty() {
            self.wildcard = true;
            interest.all = true;
        }
        for name in subscribe {
            if name == WILDCARD {
                self.wildcard = true;
                interest.all = true;
            } else {
                let name = Name::from(name.as_str());
                self.names.insert(name.clone());
                interest.asked.push(name);
            }
        }
        for name in unsubscribe {
            if name == WILDCARD {
                self.wildcard = false;
                interest.narrowed = true;
            } else if self.names.remove(name.as_str()) {
                // Still wanted as one of all: the client dropped it and must be told what it is.
                let still = self.wildcard.then(|| Name::from(name.as_str()));
                interest.asked.extend(still);
                interest.narrowed = true;
            }
        }
        interest
    }

    /// A state-of-the-world request: `names` is all that is wanted. Where a type goes as a whole, naming nothing from the
    /// start means all. `answers` says that the request answers a response; one that does not, and changes nothing, asks
    /// again for what it names: so does Envoy when a changed cluster warms up and needs its endpoints.
    pub(super) fn sotw(&mut self, names: &[String], is_whole: bool, answers: bool) -> Interest {
        let mut interest = Interest { first: !self.started, ..Interest::default() };
        let wanted: BTreeSet<Name> =
            names.iter().filter(|name| *name != WILDCARD).map(|name| Name::from(name.as_str())).collect();
        let stays_wildcard = self.wildcard && self.names.is_empty();
        let names_nothing = names.is_empty() && is_whole && (interest.first || stays_wildcard);
        let wildcard = names_nothing || names.iter().any(|name| name == WILDCARD);

        interest.narrowed = (self.wildcard && !wildcard) || !self.names.is_subset(&wanted);
        interest.all = wildcard && !self.wildcard;
        interest.asked = wanted.difference(&self.names).cloned().collect();
        let changed = interest.narrowed || interest.all || !interest.asked.is_empty();
        if !changed && !answers && !interest.first {
            interest.all = wildcard;
            interest.asked = wanted.iter().cloned().collect();
        }
        *self = Self { wildcard, names: wanted, started: true };
        interest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn a_first_delta_request_without_names_wants_all() {
        let mut subscription = Subscription::default();
        assert!(subscription.delta(&[], &[]).all);
        assert!(subscription.covers("x"));
        assert!(!subscription.delta(&[], &[]).all, "an ACK is no wish");
        subscription.delta(&[], &names(&["*"]));
        assert!(!subscription.covers("x"));
    }

    #[test]
    fn subscribing_again_asks_again() {
        let mut subscription = Subscription::default();
        subscription.delta(&names(&["a"]), &[]);
        let again = subscription.delta(&names(&["a"]), &[]);
        assert_eq!(again.asked, [Name::from("a")]);
        assert!(!again.first);
    }

    #[test]
    fn a_name_dropped_beside_the_wildcard_is_answered() {
        let mut subscription = Subscription::default();
        subscription.delta(&names(&["*", "a"]), &[]);
        assert_eq!(subscription.delta(&[], &names(&["a"])).asked, [Name::from("a")]);
        assert!(subscription.covers("a"));
    }

    #[test]
    fn sotw_lists_replace_each_other() {
        let mut subscription = Subscription::default();
        assert_eq!(subscription.sotw(&names(&["a"]), false, false).asked, [Name::from("a")]);
        assert!(subscription.sotw(&names(&["a"]), false, true).asked.is_empty(), "an ACK");
        assert_eq!(subscription.sotw(&names(&["a", "b"]), false, true).asked, [Name::from("b")]);
        assert_eq!(subscription.sotw(&names(&["a", "b"]), false, false).asked.len(), 2, "asked again");
        let narrower = subscription.sotw(&names(&["b"]), false, true);
        assert!(narrower.narrowed && narrower.asked.is_empty());
        assert!(!subscription.covers("a"));
    }

    #[test]
    fn only_whole_types_mean_all_by_naming_nothing() {
        let mut whole = Subscription::default();
        assert!(whole.sotw(&[], true, false).all);
        assert!(!whole.sotw(&[], true, true).all);
        assert!(whole.covers("x"));
        let mut named = Subscription::default();
        assert!(!named.sotw(&[], false, false).all);
        let mut once_named = Subscription::default();
        once_named.sotw(&names(&["a"]), true, false);
        assert!(!once_named.sotw(&[], true, true).all);
        assert!(!once_named.covers("x"));
    }
}
