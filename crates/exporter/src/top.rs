//! Who and what comes most, without labels: in fixed memory, however many there are.

use kit::top::{Count, Sketch, merged};
use serde::Serialize;

use crate::entry::Request;

/// What is kept of one lane.
#[derive(Debug, Default)]
pub(crate) struct Sketches {
    clients: Sketch,
    paths: Sketch,
    refused: Sketch,
    users: Sketch,
    rules: Sketch,
    ja4: Sketch,
    ja3: Sketch,
}

/// The page `/top`: counts of the last minutes, halved each minute.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Lists {
    /// Addresses of clients.
    clients: Vec<Count>,
    /// Paths without their query.
    paths: Vec<Count>,
    /// Addresses of clients that Envoy answered itself.
    refused: Vec<Count>,
    /// People who are logged in.
    users: Vec<Count>,
    /// Rules of the firewall that matched.
    rules: Vec<Count>,
    /// Fingerprints of clients' TLS.
    ja4: Vec<Count>,
    /// The same by the older method.
    ja3: Vec<Count>,
}

impl Sketches {
    /// Counts a request.
    pub(crate) fn request(&mut self, request: &Request<'_>, refused: bool, now: u64) {
        let client = request.common.client;
        self.clients.count(client, 1, now);
        let end = request.path.iter().position(|byte| *byte == b'?').unwrap_or(request.path.len());
        self.paths.count(&request.path[..end], 1, now);
        if refused {
            self.refused.count(client, 1, now);
        }
        for (sketch, print) in [(&mut self.ja4, request.common.ja4), (&mut self.ja3, request.common.ja3)] {
            if !print.is_empty() {
                sketch.count(print, 1, now);
            }
        }
    }

    /// Counts somebody who is logged in.
    pub(crate) fn user(&mut self, user: &str, now: u64) {
        self.users.count(user.as_bytes(), 1, now);
    }

    /// Counts a rule that matched.
    pub(crate) fn rule(&mut self, rule: &str, now: u64) {
        self.rules.count(rule.as_bytes(), 1, now);
    }

    /// The lists of this lane.
    pub(crate) fn lists(&mut self, now: u64) -> Lists {
        Lists {
            clients: self.clients.list(now),
            paths: self.paths.list(now),
            refused: self.refused.list(now),
            users: self.users.list(now),
            rules: self.rules.list(now),
            ja4: self.ja4.list(now),
            ja3: self.ja3.list(now),
        }
    }
}

impl Lists {
    /// The lists of all lanes in one.
    pub(crate) fn of(lanes: impl Iterator<Item = Self>) -> Self {
        let lanes: Vec<Self> = lanes.collect();
        let all = |of: fn(&Self) -> &Vec<Count>| merged(lanes.iter().map(|lists| of(lists).clone()));
        Self {
            clients: all(|lists| &lists.clients),
            paths: all(|lists| &lists.paths),
            refused: all(|lists| &lists.refused),
            users: all(|lists| &lists.users),
            rules: all(|lists| &lists.rules),
            ja4: all(|lists| &lists.ja4),
            ja3: all(|lists| &lists.ja3),
        }
    }
}
