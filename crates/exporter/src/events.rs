//! Security events: what was refused, by whom and why, as JSON lines and at a collector, with the request's id, which all services
//! write too.
//!
//! ```text
//! request ─┬─▶ a security event ─▶ journals, and the live page
//!          └─▶ refused for another reason, such as that no upstream is healthy ─▶ the live page
//! ```
//!
//! Fields that must not be kept are masked by rule. A query is never written: it may hold anything.

mod line;
mod turns;

use std::time::{Duration, SystemTime};

use kit::journal::Journal;
use kit::otlp::{Record, Severity};
use prometheus::IntCounter;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::entry::Request;
use crate::facts::Facts;
use crate::metrics::Metrics;
use crate::reason::Reason;
use line::Line;
use turns::Turns;

/// Events that wait to be written.
pub(crate) const WAITING: usize = 4096;
/// Lines that a slow reader of the live page may be behind.
const BEHIND: usize = 256;
/// What the live page calls a request that was refused and is no security event.
const REFUSED: &str = "refused";

/// A field that can be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Field {
    /// The client's address.
    Client,
    /// Who is logged in.
    User,
    /// The host.
    Host,
    /// The path.
    Path,
    /// What the client calls itself.
    UserAgent,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WafBlock,
    WafDetect,
    RateLimited,
    Login,
    Logout,
    LoginRequired,
    Denied,
}

/// Where events go.
#[derive(Debug)]
pub(crate) struct Events {
    counts: [IntCounter; Kind::ALL.len()],
    masked: Vec<Field>,
    kept: Vec<Kept>,
    /// Whether one of them is that of a collector.
    searched: bool,
    live: broadcast::Sender<String>,
    turns: Turns,
}

/// Where events are kept, and what of them was not.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) journal: Journal,
    pub(crate) dropped: IntCounter,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::WafBlock,
        Self::WafDetect,
        Self::RateLimited,
        Self::Login,
        Self::Logout,
        Self::LoginRequired,
        Self::Denied,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::WafBlock => "waf_block",
            Self::WafDetect => "waf_detect",
            Self::RateLimited => "rate_limited",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::LoginRequired => "login_required",
            Self::Denied => "denied",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::WafBlock | Self::WafDetect | Self::RateLimited | Self::Denied => Severity::Warn,
            Self::Login | Self::Logout | Self::LoginRequired => Severity::Info,
        }
    }

    /// What a request is an event of, if it is one.
    pub(crate) fn of(reason: Option<Reason>, facts: &Facts<'_>) -> Option<Self> {
        if let Some(verdict) = &facts.firewall {
            return Some(if verdict.blocks { Self::WafBlock } else { Self::WafDetect });
        }
        match facts.sign_on {
            Some("login") => return Some(Self::Login),
            Some("logout") => return Some(Self::Logout),
            _ => {}
        }
        match reason?.name() {
            "waf" | "waf_body" => Some(Self::WafBlock),
            "rate_limited" | "local_rate_limited" => Some(Self::RateLimited),
            "login" => Some(Self::LoginRequired),
            "unauthorized" | "denied" | "rbac" | "jwt" | "csrf" => Some(Self::Denied),
            _ => None,
        }
    }
}

impl Events {
    /// Events that are kept in these places, `searched` when one of them is a collector.
    pub(crate) fn new(metrics: &Metrics, masked: Vec<Field>, kept: Vec<Kept>, searched: bool) -> Self {
        Self {
            counts: Kind::ALL.map(|kind| metrics.events.with_label_values(&[kind.name()])),
            masked,
            kept,
            searched,
            live: broadcast::Sender::new(BEHIND),
            turns: Turns::default(),
        }
    }

    /// Where those who look on get their lines.
    pub(crate) fn live(&self) -> broadcast::Sender<String> {
        self.live.clone()
    }

    /// Tells of a request, `now` in milliseconds. It never waits: an event for which there is no room is dropped and counted.
    pub(crate) fn tell(
        &self,
        request: &Request<'_>,
        reason: Option<Reason>,
        facts: &Facts<'_>,
        gateway: &str,
        now: u64,
    ) {
        let kind = Kind::of(reason, facts);
        if let Some(kind) = kind {
            self.counts[kind as usize].inc();
        }
        // A redirect of the route itself refuses nothing.
        let of_interest = kind.is_some() || reason.is_some() && request.code >= 400;
        let watched = of_interest && self.live.receiver_count() > 0 && self.turns.take(reason, now);
        let kept = kind.filter(|_| !self.kept.is_empty());
        if kept.is_none() && !watched {
            return;
        }
        let line = Line::new(kind.map_or(REFUSED, Kind::name), request, reason, facts, gateway, &self.masked);
        let Ok(body) = serde_json::to_string(&line) else { return };
        if watched {
            // An error means that the last one has just gone.
            let _ = self.live.send(body.clone());
        }
        if let Some(kind) = kept {
            self.keep(kind, request, &line, body);
        }
    }

    fn keep(&self, kind: Kind, request: &Request<'_>, line: &Line<'_>, body: String) {
        let since = Duration::try_from_secs_f64(request.common.start).unwrap_or_default();
        let record = Record {
            time: SystemTime::UNIX_EPOCH + since,
            severity: kind.severity(),
            event: kind.name(),
            trace: request.common.trace(),
            body,
            attributes: if self.searched { line.attributes() } else { Vec::new() },
        };
        for Kept { journal, dropped } in &self.kept {
            if !journal.write(record.clone()) {
                dropped.inc();
            }
        }
    }
}

#[cfg(test)]
mod tests;
