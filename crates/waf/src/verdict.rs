//! What becomes of a request.

use coraza::{Action, Interruption, Match};

/// What becomes of a request, or of its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is refused.
    Refuse(Refusal),
}

/// How something is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// With which status.
    pub status: u16,
    /// Where the client is sent.
    pub location: Option<String>,
    /// The rules that led to it, those that count most first.
    pub rules: Vec<u32>,
}

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A rule said so.
    Rule,
    /// The body is longer than may be looked at.
    BodyTooLong,
    /// The body is packed in a way that is not known here.
    UnknownEncoding,
    /// The body cannot be unpacked.
    BrokenEncoding,
    /// It asks for another protocol, and has a body as well.
    UpgradeWithBody,
    /// More of the body came after the response had begun, when what there was had been judged.
    BodyAfterResponse,
    /// It could not be judged, and its profile is closed.
    Failure,
    /// The profile that its route names does not exist.
    NoProfile,
    /// Too many requests wait to be judged.
    Overload,
}

impl Reason {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::BodyTooLong => "body_too_long",
            Self::UnknownEncoding => "unknown_encoding",
            Self::BrokenEncoding => "broken_encoding",
            Self::UpgradeWithBody => "upgrade_with_body",
            Self::BodyAfterResponse => "body_after_response",
            Self::Failure => "failure",
            Self::NoProfile => "no_profile",
            Self::Overload => "overload",
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::Rule => 403,
            Self::BodyTooLong => 413,
            Self::UnknownEncoding => 415,
            Self::BrokenEncoding | Self::UpgradeWithBody | Self::BodyAfterResponse => 400,
            Self::Failure | Self::NoProfile => 500,
            Self::Overload => 503,
        }
    }
}

/// The most rules that a refusal names.
const MOST_RULES: usize = 8;
/// Rules of the Core Rule Set that only add up what others found.
const SUMS: [(u32, u32); 3] = [(949_000, 949_999), (959_000, 959_999), (980_000, 980_999)];

impl Refusal {
    /// A refusal without rules.
    pub fn plain(reason: Reason) -> Self {
        Self { reason, status: reason.status(), location: None, rules: Vec::new() }
    }

    /// What a rule decided, with the rules that matched.
    pub fn by_rule(interruption: &Interruption, matches: &[Match]) -> Self {
        let location = match &interruption.action {
            Action::Redirect(to) => Some(to.clone()),
            // Envoy gives a processor no way to end a connection.
            Action::Deny | Action::Drop | Action::Other => None,
        };
        let usual = if location.is_some() { 302 } else { Reason::Rule.status() };
        // A rule may not turn a refusal into a success.
        let status = interruption.status.filter(|status| (300..600).contains(status)).unwrap_or(usual);
        let fallback = u32::try_from(interruption.rule).ok().filter(|rule| *rule > 0);
        let mut rules = telling(matches);
        if rules.is_empty() {
            rules.extend(fallback);
        }
        Self { reason: Reason::Rule, status, location, rules }
    }
}

/// Whether a rule only adds up what others found.
pub fn adds_up(rule: u32) -> bool {
    SUMS.iter().any(|(first, last)| (*first..=*last).contains(&rule))
}

/// The rules that found something, the worst first, those that add up left out.
pub fn telling(matches: &[Match]) -> Vec<u32> {
    let mut found: Vec<&Match> =
        matches.iter().filter(|found| !adds_up(found.rule) && found.severity.is_some()).collect();
    found.sort_by_key(|found| found.severity);
    let mut rules = Vec::new();
    for found in found {
        if rules.len() < MOST_RULES && !rules.contains(&found.rule) {
            rules.push(found.rule);
        }
    }
    rules
}
