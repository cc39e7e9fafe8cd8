//! Whether Envoy does as it is asked, by route. It does not say so: where its mode is `NONE` and `allowModeOverride` is not set, it
//! sends no body. A body that does not come may also be that of a client that gave up.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Of more routes nothing is known.
const MOST_ROUTES: usize = 10_000;
/// So many clients hardly give up one after the other.
const MANY: u8 = 10;

/// What is known of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Bodies come, but for so many since the last one that did.
    Comes(u8),
    /// It was said that they do not.
    Said,
}

/// What is known of all routes.
#[derive(Debug, Default)]
pub(crate) struct Heed(RwLock<HashMap<String, Known>>);

impl Heed {
    /// A body that was asked for has come.
    pub(crate) fn came(&self, route: &str) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(route).copied();
        if !matches!(known, Some(Known::Comes(0) | Known::Said)) {
            self.know(route, Known::Comes(0));
        }
    }

    /// One has not. Says whether that is to be said, which it is once.
    pub(crate) fn missed(&self, route: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(route).copied();
        match known {
            Some(Known::Said) => false,
            Some(Known::Comes(missed)) if missed + 1 < MANY => {
                self.know(route, Known::Comes(missed + 1));
                false
            }
            Some(Known::Comes(_)) | None => self.know(route, Known::Said),
        }
    }

    fn know(&self, route: &str, known: Known) -> bool {
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let room = routes.len() < MOST_ROUTES || routes.contains_key(route);
        if room {
            routes.insert(route.to_owned(), known);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_route_that_bodies_do_not_come() {
        let heed = Heed::default();
        assert!(heed.missed("a") && !heed.missed("a"));
        heed.came("b");
        assert!((1..MANY).all(|_| !heed.missed("b")));
        heed.came("b");
        assert!((1..MANY).all(|_| !heed.missed("b")));
        assert!(heed.missed("b") && !heed.missed("b"));
        heed.came("a");
        assert!((0..=MANY).all(|_| !heed.missed("a")));
    }

    #[test]
    fn no_more_routes_are_known_than_there_is_room_for() {
        let heed = Heed::default();
        assert!((0..MOST_ROUTES).all(|route| heed.missed(&route.to_string())));
        assert!(!heed.missed("one more") && !heed.missed("7"));
    }
}
