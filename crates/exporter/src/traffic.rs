//! What Envoys did, counted.
//!
//! ```text
//! entry ─▶ its lane's part: one look-up by what identifies it ─▶ counters and histograms by number
//!              └ never seen: the book gives its labels a number, or says that there are too many ─▶ other
//! scrape ─▶ all parts, added up
//! ```
//!
//! Each lane counts for itself, so that nobody waits for another. Labels are made once, not for each entry.

mod families;
mod part;
mod snapshot;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kit::lanes::Lanes;
use kit::metrics::Described as _;

use crate::book::{Book, Caps, Id, Outcome};
use crate::entry::{Connection, Request};
use crate::labels::{self, OTHER, Place};
use crate::metrics::{Metrics, Name};
use crate::reason::Reason;
pub(crate) use families::COUNTED;
pub(crate) use part::Known;
use part::{Part, Which};
pub(crate) use snapshot::{Before, RouteTotals, Said, Snapshot};

/// How many gateways may send logs under their own names.
const MOST_ORIGINS: usize = 10_000;

/// The ends of buckets.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) seconds: Vec<f64>,
    pub(crate) bytes: Vec<f64>,
}

/// All that is counted of what Envoys did.
#[derive(Debug)]
pub(crate) struct Traffic {
    parts: Box<[Mutex<Part>]>,
    book: Mutex<Book>,
    pub(crate) bounds: Bounds,
    caps: Caps,
    metrics: Arc<Metrics>,
    next: AtomicUsize,
}

/// The gateway that a stream of logs comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    id: Id,
    gateway: Arc<str>,
}

/// A lane's part while it counts a message.
pub(crate) struct Counting<'a> {
    traffic: &'a Traffic,
    part: MutexGuard<'a, Part>,
    origin: &'a Origin,
}

impl Traffic {
    pub(crate) fn new(parts: usize, bounds: Bounds, caps: Caps, metrics: Arc<Metrics>) -> Self {
        let parts = (0..parts.max(1)).map(|_| Mutex::default()).collect();
        Self { parts, book: Mutex::default(), bounds, caps, metrics, next: AtomicUsize::new(0) }
    }

    /// Where a stream comes from, by the name of its log and of its node.
    pub(crate) fn origin(&self, log_name: &str, node_cluster: &str) -> Origin {
        let gateway = labels::gateway(log_name, node_cluster);
        let mut book = self.book();
        match book.origins.number(&gateway, (), MOST_ORIGINS) {
            Some(id) => Origin { id, gateway: gateway.into() },
            None => Origin { id: MOST_ORIGINS, gateway: OTHER.into() },
        }
    }

    /// Begins to count what comes from there, in the part of this lane.
    pub(crate) fn count<'a>(&'a self, origin: &'a Origin) -> Counting<'a> {
        // Outside of lanes, as in tests, parts take turns.
        let lane = Lanes::current().unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        let part = lock(&self.parts[lane % self.parts.len()]);
        Counting { traffic: self, part, origin }
    }

    /// Says how many sets of labels there are.
    pub(crate) fn tell_series(&self, metrics: &Metrics) {
        let book = self.book();
        let all = [
            (Name::Requests, book.requests.len()),
            (Name::RequestSeconds, book.routes.len()),
            (Name::LocalReplies, book.replies.len()),
            (Name::Connections, book.connections.len()),
        ];
        for (metric, count) in all {
            metrics.series.with_label_values(&[metric.describe().0]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// The numbers under which a request is counted that was never seen: its labels are made.
    fn known(&self, request: &Request<'_>, origin: &Origin, reason: Option<Reason>) -> Known {
        let common = &request.common;
        let place = Place::new(common.route, common.listener, &origin.gateway, common.port);
        let mut book = self.book();
        let route = self.route(&mut book, place);
        // A route that has no room of its own has none for its requests either.
        let own = route.as_ref().and_then(|(route, text)| {
            let outcome = Outcome { route: *route, code: request.code };
            book.requests.number(&format!("{text},{}", outcome_text(request)), outcome, self.caps.requests)
        });
        let own_reply = reason.map(|reason| {
            let (route, text) = route.as_ref()?;
            let more = labels::text([("code", &*request.code.to_string()), ("reason", reason.name())]);
            book.replies.number(&format!("{text},{more}"), *route, self.caps.replies)
        });
        let capped = [
            route.is_none().then_some(Name::RequestSeconds),
            own.is_none().then_some(Name::Requests),
            (own_reply == Some(None)).then_some(Name::LocalReplies),
        ];
        let other = if capped.iter().any(Option::is_some) { other_route(&mut book) } else { 0 };
        Known {
            request: own.unwrap_or_else(|| other_request(&mut book, other, request.code)),
            route: route.map_or(other, |(route, _)| route),
            reply: reason
                .zip(own_reply)
                .map(|(reason, own)| own.unwrap_or_else(|| other_reply(&mut book, other, reason))),
            capped,
        }
    }

    /// The number of a route and its labels; nothing when there are too many.
    fn route(&self, book: &mut Book, place: Place) -> Option<(Id, Arc<str>)> {
        let id = book.routes.number(&place.text(), Arc::new(place), self.caps.routes)?;
        book.routes.get(id).map(|(text, _)| (id, Arc::clone(text)))
    }

    fn known_connection(&self, connection: &Connection<'_>, origin: &Origin) -> Known {
        let common = &connection.common;
        let tag = String::from_utf8_lossy(common.listener);
        let place = Place::of_listener(&tag, &origin.gateway, common.port);
        let listener = place.text();
        let backend = labels::backend(common.cluster);
        let flags = crate::flags::text(common.flags);
        let more = labels::text([("backend", backend.as_str()), ("flags", flags.as_str())]);
        let join = |more: &str| if more.is_empty() { listener.clone() } else { format!("{listener},{more}") };
        let mut book = self.book();
        let other = labels::text([("gateway", OTHER), ("listener", OTHER)]);
        let own = book.connections.number(&join(&more), (), self.caps.connections);
        let request = own.or_else(|| book.connections.number(&other, (), usize::MAX)).unwrap_or_default();
        let route = book.listeners.number(&listener, (), self.caps.connections);
        let route = route.or_else(|| book.listeners.number(&other, (), usize::MAX)).unwrap_or_default();
        Known { request, route, reply: None, capped: [own.is_none().then_some(Name::Connections), None, None] }
    }
}

impl Counting<'_> {
    /// Counts a request. Gives why Envoy answered it itself, if it did.
    pub(crate) fn request(&mut self, request: &Request<'_>) -> Option<Reason> {
        let reason = Reason::of(request.details, request.code, request.common.flags);
        let which = Which::of_request(request, self.origin.id, reason);
        let known = self.part.find(&which);
        let known = known.unwrap_or_else(|| {
            let known = self.traffic.known(request, self.origin, reason);
            self.part.learn(&which, known, self.traffic.caps.requests);
            known
        });
        self.tell_capped(&known);
        self.part.add_request(&known, request, &self.traffic.bounds);
        reason
    }

    /// Counts a connection.
    pub(crate) fn connection(&mut self, connection: &Connection<'_>) {
        let which = Which::of_connection(connection, self.origin.id);
        let known = self.part.find(&which);
        let known = known.unwrap_or_else(|| {
            let known = self.traffic.known_connection(connection, self.origin);
            self.part.learn(&which, known, self.traffic.caps.requests);
            known
        });
        self.tell_capped(&known);
        self.part.add_connection(&known, connection, &self.traffic.bounds);
    }

    /// The gateway that this comes from.
    pub(crate) fn gateway(&self) -> &str {
        &self.origin.gateway
    }

    /// The sketches of this part.
    pub(crate) fn top(&mut self) -> &mut crate::top::Sketches {
        &mut self.part.top
    }

    fn tell_capped(&self, known: &Known) {
        for metric in known.capped.iter().flatten() {
            self.traffic.metrics.capped.with_label_values(&[metric.describe().0]).inc();
        }
    }
}

/// The labels that a request has beside those of its route.
fn outcome_text(request: &Request<'_>) -> String {
    let (code, flags) = (request.code.to_string(), crate::flags::text(request.common.flags));
    labels::text([
        ("backend", &*labels::backend(request.common.cluster)),
        ("method", labels::method(request.method)),
        ("code", &code),
        ("code_class", labels::class(request.code)),
        ("flags", &flags),
        ("protocol", labels::protocol(request.protocol)),
    ])
}

/// What has no room of its own goes here. There are few of these, and they always fit.
fn other_route(book: &mut Book) -> Id {
    let other = Place::other();
    book.routes.number(&other.text(), Arc::new(other), usize::MAX).unwrap_or_default()
}

/// By class, so that sums stay right.
fn other_request(book: &mut Book, route: Id, code: u16) -> Id {
    let text = format!("{},{}", Place::other().text(), labels::text([("code_class", labels::class(code))]));
    book.requests.number(&text, Outcome { route, code }, usize::MAX).unwrap_or_default()
}

fn other_reply(book: &mut Book, route: Id, reason: Reason) -> Id {
    let text = format!("{},{}", Place::other().text(), labels::text([("reason", reason.name())]));
    book.replies.number(&text, route, usize::MAX).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
