//! Requests that are judged in this process, without Envoy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use waf::head::Head;
use waf::inspect::{End, Exchange, Inspection};
use waf::metrics::Metrics;
use waf::observe::Observer;
use waf::profile::{Loader, Place, Profile, Profiles};
use waf::verdict::Verdict;

/// A request in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// Profiles, and who is told.
pub(crate) struct Judge {
    profiles: Profiles,
    observer: Arc<Observer>,
    _dir: tempfile::TempDir,
}

impl Judge {
    /// With profiles (file names and contents) beside those that are always there.
    pub(crate) fn new(profiles: &[(&str, &str)]) -> Self {
        let dir = tempfile::TempDir::with_prefix("waf-").unwrap();
        for (name, text) in profiles {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let place = Place { path: dir.path().to_owned(), extends: None };
        let profiles = Loader::default().load(&[place]).unwrap().complete().unwrap();
        let observer = Arc::new(Observer::new(Metrics::register(&Registry::new()), None));
        Self { profiles, observer, _dir: dir }
    }

    pub(crate) fn profile(&self, name: &str) -> Arc<Profile> {
        Arc::clone(self.profiles.get(name).unwrap())
    }

    /// What becomes of a request, the rules that matched, and how long that took.
    pub(crate) fn judge(&self, profile: &Arc<Profile>, request: &Request) -> (Verdict, Vec<u32>, Duration) {
        let pseudo = [(":method", request.method), (":path", &request.target), (":authority", "shop.example")];
        let pseudo = pseudo.into_iter().map(|(name, value)| (name, value.as_bytes()));
        let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let exchange = Exchange {
            client: ("192.0.2.1".to_owned(), 12_345),
            protocol: "HTTP/1.1".to_owned(),
            head: Head::of(pseudo.chain(headers)),
            ..Exchange::default()
        };
        let body = Bytes::from(request.body.clone());
        let begun = Instant::now();
        let observer = Arc::clone(&self.observer);
        let (mut inspection, mut verdict) =
            Inspection::begin(exchange, Arc::clone(profile), None, body.is_empty(), observer);
        if !body.is_empty() && verdict == Verdict::Pass {
            verdict = inspection.request_body(body, End::Last);
        }
        let took = begun.elapsed();
        (verdict, inspection.matches().iter().map(|found| found.rule).collect(), took)
    }
}
