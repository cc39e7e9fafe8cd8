//! Security events: what was refused, by whom and why, as JSON lines and at a collector, with the request's id, which all services
//! write too.
//!
//! Fields that must not be kept are masked by rule. A query is never written: it may hold anything.

mod line;

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

/// Events that wait to be written.
pub(crate) const WAITING: usize = 4096;
/// Lines that a slow reader of the live page may be behind.
const BEHIND: usize = 256;

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
    dropped: IntCounter,
    masked: Vec<Field>,
    journals: Vec<Journal>,
    /// Whether one of them is that of a collector.
    searched: bool,
    live: broadcast::Sender<String>,
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
    /// Events that go to these journals, `searched` when one of them is that of a collector.
    pub(crate) fn new(metrics: &Metrics, masked: Vec<Field>, journals: Vec<Journal>, searched: bool) -> Self {
        Self {
            counts: Kind::ALL.map(|kind| metrics.events.with_label_values(&[kind.name()])),
            dropped: metrics.dropped_events.clone(),
            masked,
            journals,
            searched,
            live: broadcast::Sender::new(BEHIND),
        }
    }

    /// Where those who look on get their lines.
    pub(crate) fn live(&self) -> broadcast::Sender<String> {
        self.live.clone()
    }

    /// Tells of a request. It never waits: an event for which there is no room is dropped and counted.
    pub(crate) fn tell(
        &self,
        kind: Kind,
        request: &Request<'_>,
        reason: Option<Reason>,
        facts: &Facts<'_>,
        gateway: &str,
    ) {
        self.counts[kind as usize].inc();
        let watched = self.live.receiver_count() > 0;
        if self.journals.is_empty() && !watched {
            return;
        }
        let line = Line::new(kind, request, reason, facts, gateway, &self.masked);
        let Ok(body) = serde_json::to_string(&line) else { return };
        if watched {
            // An error means that the last one has just gone.
            let _ = self.live.send(body.clone());
        }
        let since = Duration::try_from_secs_f64(request.common.start).unwrap_or_default();
        let record = Record {
            time: SystemTime::UNIX_EPOCH + since,
            severity: kind.severity(),
            event: kind.name(),
            trace: request.common.trace(),
            body,
            attributes: if self.searched { line.attributes() } else { Vec::new() },
        };
        for journal in &self.journals {
            if !journal.write(record.clone()) {
                self.dropped.inc();
            }
        }
    }
}

#[cfg(test)]
mod tests;
