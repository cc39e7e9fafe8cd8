//! The audit log: what was found in which request.
//!
//! ```text
//! Outcome ─▶ redact ─▶ Entry ─▶ journal ─▶ stdout, a file that rotates, or a collector
//! ```
//!
//! Requests never wait for it: an entry that finds the queue full is dropped and counted.

mod entry;
mod native;
mod otlp;
mod redact;

use kit::journal::{self, Journal, Owner, Target};
use kit::otlp::Record;
use prometheus::IntCounter;
use serde::{Deserialize, Serialize};

use crate::inspect::Outcome;
pub use entry::{Entry, Found, Place};
use redact::Redactor;

/// The audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// Where entries go: a file, or a collector by `otlp`; standard output when both are absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<journal::File>,
    /// A collector that takes them as OTLP logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<kit::otlp::Settings>,
    /// How entries look.
    pub format: Format,
    /// Which requests have one.
    pub when: When,
    /// What is in one.
    pub parts: Vec<Part>,
    /// What is masked.
    pub redact: Redact,
    /// How many entries may wait to be written. Default 4096.
    pub queue: usize,
}

/// How entries look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// A line of JSON each.
    #[default]
    Json,
    /// As ModSecurity writes them, in parts between boundaries.
    Native,
}

/// Which requests have an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Those in which something was found, and those that could not be judged.
    #[default]
    Relevant,
    /// All.
    Always,
}

/// A part of an entry, beside what every one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The headers of the request.
    RequestHeaders,
    /// The headers of the response.
    ResponseHeaders,
    /// What rules matched on.
    Values,
}

/// What is masked. Bodies as a whole are never written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Redact {
    /// Headers by name. Default: those that carry credentials.
    pub headers: Vec<String>,
    /// Parameters by a part of their name. Default: `password`, `passwd`, `pwd`, `secret`, `token`, `key`, `card`.
    pub parameters: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            file: None,
            otlp: None,
            format: Format::default(),
            when: When::default(),
            parts: vec![Part::RequestHeaders, Part::Values],
            redact: Redact::default(),
            queue: 4096,
        }
    }
}

impl Default for Redact {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            headers: list(&["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"]),
            parameters: list(&["password", "passwd", "pwd", "secret", "token", "key", "card"]),
        }
    }
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It will be written.
    Queued,
    /// There was no room for it.
    Dropped,
}

impl Written {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "written",
            Self::Dropped => "dropped",
        }
    }
}

/// A running audit log. Dropping it writes what waits.
#[derive(Debug)]
pub struct Log {
    settings: Settings,
    redactor: Redactor,
    journal: Journal,
}

impl Log {
    /// Starts it. The file is opened at once. Entries that cannot be written are counted in `lost`.
    pub fn start(settings: Settings, lost: IntCounter) -> std::io::Result<Self> {
        let target = match (&settings.file, &settings.otlp) {
            (Some(file), _) => Target::File(file.clone()),
            (None, Some(otlp)) => Target::Collector(otlp.clone()),
            (None, None) => Target::Stdout,
        };
        let owner = Owner { service: "waf", version: env!("CARGO_PKG_VERSION"), what: "audit log" };
        let journal = Journal::start(owner, target, settings.queue, lost)?;
        let redactor = Redactor::new(&settings.redact);
        Ok(Self { settings, redactor, journal })
    }

    /// Tells of a request; `None` when it is not worth an entry.
    pub(crate) fn tell(&self, outcome: &Outcome<'_>) -> Option<Written> {
        if self.settings.when == When::Relevant && !outcome.is_relevant() {
            return None;
        }
        let entry = Entry::of(outcome, &self.settings.parts, &self.redactor);
        let body = match self.settings.format {
            Format::Json => serde_json::to_string(&entry).unwrap_or_default(),
            Format::Native => native::write(&entry),
        };
        let (time, severity) = (outcome.over, otlp::severity(&entry));
        let attributes = if self.settings.otlp.is_some() { otlp::attributes(entry) } else { Vec::new() };
        let record = Record { time, severity, event: "waf.audit", trace: None, body, attributes };
        Some(if self.journal.write(record) { Written::Queued } else { Written::Dropped })
    }
}
