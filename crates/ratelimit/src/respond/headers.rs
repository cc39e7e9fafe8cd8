//! Headers that tell a client how much is left and when to come back.
//!
//! Envoy adds `X-RateLimit-*` by itself where its filter says so; these are for all other cases.

use std::fmt::Write as _;

use envoy::core::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::decide::Status;
use crate::limit::Millis;

/// Which headers answers carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Headers {
    /// Headers about the limit that is nearest. Default none.
    pub standard: Standard,
    /// `Retry-After` for refused requests. Default true.
    pub retry_after: bool,
    /// The name of the limit's header, with `standard: names`.
    pub limit: String,
    /// The name of the header of what is left, with `standard: names`.
    pub remaining: String,
    /// The name of the header of the seconds until the limit is whole again, with `standard: names`.
    pub reset: String,
}

/// A set of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standard {
    /// None.
    #[default]
    None,
    /// Three headers with plain numbers, by the names of `limit`, `remaining` and `reset`: those of the reference.
    Names,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the limit with its window (draft-polli-ratelimit-headers-03).
    XRateLimit,
    /// `RateLimit-Policy` and `RateLimit`, all limits of the request (draft-ietf-httpapi-ratelimit-headers-10).
    Ietf,
}

impl Default for Headers {
    fn default() -> Self {
        Self {
            standard: Standard::None,
            retry_after: true,
            limit: "RateLimit-Limit".to_owned(),
            remaining: "RateLimit-Remaining".to_owned(),
            reset: "RateLimit-Reset".to_owned(),
        }
    }
}

impl Headers {
    /// The headers of an answer.
    pub(super) fn of(&self, statuses: &[Status<'_>], refused: bool) -> Vec<HeaderValue> {
        let mut headers = Vec::new();
        match self.standard {
            Standard::None => {}
            Standard::Names => headers.extend(nearest(statuses).into_iter().flat_map(|status| {
                let limit = status.limit.map_or(0, |(limit, _)| limit.requests);
                Self::plain([&self.limit, &self.remaining, &self.reset], limit.to_string(), status)
            })),
            Standard::XRateLimit => headers.extend(nearest(statuses).into_iter().flat_map(|status| {
                let names = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
                Self::plain(names, with_windows(status, statuses), status)
            })),
            Standard::Ietf => headers.extend(ietf(statuses).into_iter().flatten()),
        }
        if refused && self.retry_after {
            let refusing = statuses.iter().filter(|status| status.refuses);
            let retry = refusing.map(|status| status.retry).max().unwrap_or_default();
            headers.push(header("Retry-After", seconds(retry).max(1).to_string()));
        }
        headers
    }

    fn plain(names: [&str; 3], limit: String, status: &Status<'_>) -> [HeaderValue; 3] {
        let [limit_name, remaining, reset] = names;
        [
            header(limit_name, limit),
            header(remaining, status.remaining.to_string()),
            header(reset, seconds(status.reset).to_string()),
        ]
    }
}

/// The limit to tell of: the last that refuses, else the first of those with least left.
fn nearest<'s, 'r>(statuses: &'s [Status<'r>]) -> Option<&'s Status<'r>> {
    let refusing = statuses.iter().rev().find(|status| status.refuses);
    refusing.or_else(|| statuses.iter().filter(|status| status.limit.is_some()).min_by_key(|status| status.remaining))
}

/// `10, 10;w=1, 1000;w=3600`: the nearest limit, then all with their windows in seconds.
fn with_windows(nearest: &Status<'_>, statuses: &[Status<'_>]) -> String {
    let mut text = nearest.limit.map_or_else(String::new, |(limit, _)| limit.requests.to_string());
    for (limit, name) in statuses.iter().filter_map(|status| status.limit) {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {};w={}", limit.requests, limit.unit.as_secs());
        if !name.is_empty() {
            let _ = write!(text, ";name={}", quoted(name));
        }
    }
    text
}

fn ietf(statuses: &[Status<'_>]) -> Option<[HeaderValue; 2]> {
    let (mut policies, mut limits) = (String::new(), String::new());
    for (index, status) in statuses.iter().enumerate() {
        let Some((limit, name)) = status.limit else { continue };
        let name = if name.is_empty() { format!("\"{index}\"") } else { quoted(name) };
        let comma = if policies.is_empty() { "" } else { ", " };
        let _ = write!(policies, "{comma}{name};q={};w={}", limit.requests, limit.unit.as_secs());
        let _ = write!(limits, "{comma}{name};r={};t={}", status.remaining, seconds(status.reset));
    }
    (!policies.is_empty()).then(|| [header("RateLimit-Policy", policies), header("RateLimit", limits)])
}

/// A string of structured fields (RFC 9651, 3.3.3): printable ASCII; what is not is left out.
fn quoted(name: &str) -> String {
    let mut text = String::from("\"");
    for character in name.chars().filter(|character| matches!(character, ' '..='~')) {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}

/// Whole seconds, rounded up: who waits that long is not early.
fn seconds(millis: Millis) -> u64 {
    millis.div_ceil(1000)
}

fn header(key: &str, value: String) -> HeaderValue {
    HeaderValue { key: key.to_owned(), value, ..HeaderValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Limit, Unit};

    fn status(requests: u32, remaining: u32, refuses: bool) -> Status<'static> {
        let limit = Some((Limit::fixed(requests, Unit::MINUTE), "per \"user\""));
        Status { limit, remaining, refuses, reset: 30_500, retry: 12_001, ..Status::default() }
    }

    fn lines(standard: Standard, statuses: &[Status<'_>], refused: bool) -> Vec<String> {
        let headers = Headers { standard, ..Headers::default() }.of(statuses, refused);
        headers.into_iter().map(|header| format!("{}: {}", header.key, header.value)).collect()
    }

    #[test]
    fn the_nearest_limit_is_told() {
        let statuses = [Status::default(), status(10, 7, false), status(20, 3, false), status(30, 3, false)];
        assert_eq!(
            lines(Standard::Names, &statuses, false),
            ["RateLimit-Limit: 20", "RateLimit-Remaining: 3", "RateLimit-Reset: 31"]
        );
        assert!(lines(Standard::Names, &[Status::default()], false).is_empty());
    }

    #[test]
    fn the_last_refusing_limit_goes_before_all() {
        let statuses = [status(10, 0, true), status(20, 0, true), status(30, 0, false)];
        assert_eq!(lines(Standard::Names, &statuses, true)[0], "RateLimit-Limit: 20");
        assert_eq!(lines(Standard::None, &statuses, true), ["Retry-After: 13"]);
    }

    #[test]
    fn both_drafts_are_written() {
        let statuses = [status(10, 7, false)];
        assert_eq!(
            lines(Standard::XRateLimit, &statuses, false)[0],
            r#"X-RateLimit-Limit: 10, 10;w=60;name="per \"user\"""#
        );
        assert_eq!(
            lines(Standard::Ietf, &statuses, false),
            [r#"RateLimit-Policy: "per \"user\"";q=10;w=60"#, r#"RateLimit: "per \"user\"";r=7;t=31"#]
        );
    }
}
