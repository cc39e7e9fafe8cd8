//! What is told of an event: as a line of JSON, and as what collectors search for.

use std::borrow::Cow;

use kit::otlp::Value;
use serde::Serialize;

use super::Field;
use crate::entry::Request;
use crate::facts::Facts;
use crate::flags;
use crate::labels::{self, Place};
use crate::reason::Reason;

/// The longest that a text of a client is told, in bytes.
const LONGEST: usize = 512;
/// What stands for a field that is masked.
const MASK: &str = kit::redact::MASK;

/// A line.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
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
    #[serde(skip_serializing_if = "str::is_empty")]
    ja4: Cow<'a, str>,
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Why, in Envoy's own words; nothing when it was not Envoy that answered.
    #[serde(skip_serializing_if = "str::is_empty")]
    details: Cow<'a, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    flags: String,
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

impl<'a> Line<'a> {
    pub(super) fn new(
        event: &'static str,
        request: &Request<'a>,
        reason: Option<Reason>,
        facts: &'a Facts<'a>,
        gateway: &str,
        masked: &[Field],
    ) -> Self {
        let common = &request.common;
        let place = Place::new(common.route, common.listener, gateway, common.port);
        let masks = |field| masked.contains(&field);
        let shown = |field, text: &'a [u8]| if masks(field) { Cow::Borrowed(MASK) } else { told(text) };
        let path = request.path.split(|byte| *byte == b'?').next().unwrap_or_default();
        Self {
            time: time(common.start),
            event,
            request: told(request.id),
            trace: told(common.trace),
            route: route(&place),
            gateway: place.gateway,
            listener: place.listener,
            client: shown(Field::Client, common.client),
            user: facts.subject.map(|user| if masks(Field::User) { MASK } else { user }),
            method: labels::method(request.method),
            host: shown(Field::Host, request.host),
            path: shown(Field::Path, path),
            user_agent: shown(Field::UserAgent, request.user_agent),
            ja4: told(common.ja4),
            code: request.code,
            reason: reason.map(Reason::name),
            details: told(if reason.is_some() { request.details } else { &[] }),
            flags: flags::text(common.flags),
            waf: facts.firewall.as_ref().map(|verdict| Waf {
                profile: &verdict.profile,
                score: verdict.score,
                rules: &verdict.rules,
            }),
        }
    }

    /// The same by the names that OpenTelemetry has for it, where it has one.
    pub(super) fn attributes(&self) -> Vec<(&'static str, Value)> {
        let texts = [
            ("gateway.name", &*self.gateway),
            ("gateway.listener", &*self.listener),
            ("gateway.route", &*self.route),
            ("gateway.request", &*self.request),
            ("gateway.reason", self.reason.unwrap_or_default()),
            ("client.address", &*self.client),
            ("user.id", self.user.unwrap_or_default()),
            ("http.request.method", self.method),
            ("server.address", &*self.host),
            ("url.path", &*self.path),
            ("user_agent.original", &*self.user_agent),
            ("tls.client.ja4", &*self.ja4),
            ("waf.profile", self.waf.as_ref().map_or("", |waf| waf.profile)),
        ];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut all: Vec<_> = texts.map(|(name, text)| (name, Value::Text(text.to_owned()))).collect();
        all.push(("http.response.status_code", Value::Number(self.code.into())));
        if let Some(waf) = &self.waf {
            let rules = waf.rules.iter().map(|rule| i64::try_from(*rule).unwrap_or_default()).collect();
            all.push(("waf.rules", Value::Numbers(rules)));
            #[allow(clippy::cast_possible_truncation, reason = "a score is a small whole number")]
            all.push(("waf.score", Value::Number(waf.score as i64)));
        }
        all
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
