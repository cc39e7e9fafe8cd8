//! Security events: what was refused, by whom and why, as JSON lines with the request's id, which all services write too.
//!
//! Fields that must not be kept are masked by rule. A query is never written: it may hold anything.

use std::borrow::Cow;

use kit::redact::MASK;
use prometheus::IntCounter;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};

use crate::entry::Request;
use crate::facts::Facts;
use crate::labels::{self, Place};
use crate::metrics::Metrics;
use crate::reason::Reason;

/// Lines that wait for the file.
pub(crate) const WAITING: usize = 4096;
/// Lines that a slow reader of the live page may be behind.
const BEHIND: usize = 256;
/// The longest that a text of a client is told, in bytes.
const LONGEST: usize = 512;

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
    lines: Option<mpsc::Sender<String>>,
    live: broadcast::Sender<String>,
}

/// A line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    event: &'static str,
    request: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace: Cow<'a, str>,
    gateway: String,
    listener: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    route: String,
    client: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    method: &'static str,
    host: Cow<'a, str>,
    path: Cow<'a, str>,
    user_agent: Cow<'a, str>,
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waf: Option<Waf<'a>>,
}

/// What the firewall said.
#[derive(Debug, Serialize)]
struct Waf<'a> {
    profile: &'a str,
    score: f64,
    rules: &'a [u64],
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
    /// Events that go to `lines`, if to anywhere.
    pub(crate) fn new(metrics: &Metrics, masked: Vec<Field>, lines: Option<mpsc::Sender<String>>) -> Self {
        Self {
            counts: Kind::ALL.map(|kind| metrics.events.with_label_values(&[kind.name()])),
            dropped: metrics.dropped_events.clone(),
            masked,
            lines,
            live: broadcast::Sender::new(BEHIND),
        }
    }

    /// Where those who look on get their lines.
    pub(crate) fn live(&self) -> broadcast::Sender<String> {
        self.live.clone()
    }

    /// Tells of a request. It never waits: a line for which there is no room is dropped and counted.
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
        if self.lines.is_none() && !watched {
            return;
        }
        let line = self.line(kind, request, reason, facts, gateway);
        let Ok(line) = serde_json::to_string(&line) else { return };
        if watched {
            // An error means that the last one has just gone.
            let _ = self.live.send(line.clone());
        }
        if self.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_err()) {
            self.dropped.inc();
        }
    }

    fn line<'a>(
        &self,
        kind: Kind,
        request: &Request<'a>,
        reason: Option<Reason>,
        facts: &'a Facts<'a>,
        gateway: &str,
    ) -> Line<'a> {
        let common = &request.common;
        let place = Place::new(common.route, common.listener, gateway, common.port);
        let shown = |field, text: &'a [u8]| if self.masks(field) { Cow::Borrowed(MASK) } else { told(text) };
        let path = request.path.split(|byte| *byte == b'?').next().unwrap_or_default();
        Line {
            time: time(common.start),
            event: kind.name(),
            request: told(request.id),
            trace: told(common.trace),
            route: route(&place),
            gateway: place.gateway,
            listener: place.listener,
            client: shown(Field::Client, common.client),
            user: facts.subject.map(|user| if self.masks(Field::User) { MASK } else { user }),
            method: labels::method(request.method),
            host: shown(Field::Host, request.host),
            path: shown(Field::Path, path),
            user_agent: shown(Field::UserAgent, request.user_agent),
            code: request.code,
            reason: reason.map(Reason::name),
            waf: facts.firewall.as_ref().map(|verdict| Waf {
                profile: &verdict.profile,
                score: verdict.score,
                rules: &verdict.rules,
            }),
        }
    }

    fn masks(&self, field: Field) -> bool {
        self.masked.contains(&field)
    }
}

fn route(place: &Place) -> String {
    let Place { kind, namespace, route, .. } = place;
    if kind.is_empty() { route.clone() } else { format!("{kind} {namespace}/{route}") }
}

fn told(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&text[..text.len().min(LONGEST)])
}

/// RFC 3339, to the millisecond.
fn time(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "a time since 1970")]
    let millis = (seconds * 1e3) as i64;
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
