//! One metric at a time: nothing is locked longer than it takes to add up the parts of this one.

use std::sync::{Arc, MutexGuard};

use super::part::Part;
use super::snapshot::{of_all, sum};
use super::{RouteTotals, Traffic, lock};
use crate::book::{Book, Id, Numbered};
use crate::family::{Family, Series};
use crate::histogram::Histogram;
use crate::metrics::Name;

/// The metrics of what Envoys did, in the order in which they are told.
pub(crate) const COUNTED: [Name; 11] = [
    Name::Requests,
    Name::LocalReplies,
    Name::Connections,
    Name::ReceivedBytes,
    Name::SentBytes,
    Name::RequestSeconds,
    Name::UpstreamSeconds,
    Name::FilterSeconds,
    Name::RequestBytes,
    Name::ResponseBytes,
    Name::ConnectionSeconds,
];

/// Everything, and nobody else counts.
struct Held<'a> {
    parts: Vec<MutexGuard<'a, Part>>,
    book: MutexGuard<'a, Book>,
}

impl Traffic {
    /// A metric as it is now; nothing when it has no series, or is none of these.
    pub(crate) fn family(&self, name: Name) -> Option<Family> {
        let held = Held { parts: self.parts.iter().map(lock).collect(), book: self.book() };
        let (seconds, bytes) = (&*self.bounds.seconds, &*self.bounds.bytes);
        let (bounds, series) = match name {
            Name::Requests => (&[][..], held.counts(&held.book.requests, |part| &part.requests)),
            Name::LocalReplies => (&[][..], held.counts(&held.book.replies, |part| &part.replies)),
            Name::Connections => (&[][..], held.counts(&held.book.connections, |part| &part.connections)),
            Name::ReceivedBytes => (&[][..], held.bytes(|totals| totals.received)),
            Name::SentBytes => (&[][..], held.bytes(|totals| totals.sent)),
            Name::RequestSeconds => (seconds, held.routes(|totals| &totals.whole)),
            Name::UpstreamSeconds => (seconds, held.routes(|totals| &totals.upstream)),
            Name::FilterSeconds => (seconds, held.routes(|totals| &totals.filters)),
            Name::RequestBytes => (bytes, held.routes(|totals| &totals.request_bytes)),
            Name::ResponseBytes => (bytes, held.routes(|totals| &totals.response_bytes)),
            Name::ConnectionSeconds => (seconds, held.listeners()),
            _ => return None,
        };
        drop(held);
        Family::new(name, bounds, series)
    }
}

impl Held<'_> {
    fn counts<T>(&self, all: &Numbered<T>, of: fn(&Part) -> &Vec<u64>) -> Series {
        Series::Counts(all.iter().map(|(id, text, _)| (Arc::clone(text), sum(&self.parts, of, id))).collect())
    }

    fn bytes(&self, of: fn(&RouteTotals) -> u64) -> Series {
        let count = |id: Id| of_all(&self.parts, |part| &part.routes, id).map(of).sum();
        Series::Counts(self.book.routes.iter().map(|(id, text, _)| (Arc::clone(text), count(id))).collect())
    }

    fn routes(&self, of: fn(&RouteTotals) -> &Histogram) -> Series {
        let one = |id: Id| merged(of_all(&self.parts, |part| &part.routes, id).map(of));
        histograms(&self.book.routes, one)
    }

    fn listeners(&self) -> Series {
        histograms(&self.book.listeners, |id| merged(of_all(&self.parts, |part| &part.listeners, id)))
    }
}

/// Those of which nothing was measured are left out.
fn histograms<T>(all: &Numbered<T>, one: impl Fn(Id) -> Histogram) -> Series {
    let all = all.iter().map(|(id, text, _)| (Arc::clone(text), one(id)));
    Series::Histograms(all.filter(|(_, histogram)| histogram.count > 0).collect())
}

fn merged<'a>(parts: impl Iterator<Item = &'a Histogram>) -> Histogram {
    let mut all = Histogram::default();
    parts.for_each(|part| all.merge(part));
    all
}
