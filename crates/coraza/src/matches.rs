//! Which rules matched, and on what.

use std::fmt;

use crate::wire::Reader;

/// A rule that matched and wants to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Its number.
    pub rule: u32,
    /// How bad it is, as the rule has it.
    pub severity: Option<Severity>,
    /// The phase, 1 to 5.
    pub phase: u32,
    /// Whether it decided about the transaction.
    pub disruptive: bool,
    /// The file that it is from.
    pub file: String,
    /// The line in it.
    pub line: u32,
    /// The version of its rule set: `OWASP_CRS/4.25.0`.
    pub version: String,
    /// Its message.
    pub message: String,
    /// Its data, usually with what matched.
    pub data: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it matched on.
    pub places: Vec<Place>,
}

/// Something that a rule looked at: `ARGS:id` and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The collection: `ARGS`.
    pub variable: String,
    /// The key in it, empty where it has none.
    pub key: String,
    /// The value, as it came.
    pub value: String,
}

impl fmt::Display for Place {
    /// The name, as rules write it: `ARGS:id`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.variable)?;
        if self.key.is_empty() { Ok(()) } else { write!(formatter, ":{}", self.key) }
    }
}

/// How bad a match is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// 0.
    Emergency,
    /// 1.
    Alert,
    /// 2: an attack, to the Core Rule Set.
    Critical,
    /// 3.
    Error,
    /// 4.
    Warning,
    /// 5.
    Notice,
    /// 6.
    Info,
    /// 7.
    Debug,
}

impl Severity {
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// Its name in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "EMERGENCY",
            Self::Alert => "ALERT",
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }

    /// The severity of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// What a match adds to the anomaly score of the Core Rule Set, unless its setup says otherwise.
    pub fn score(self) -> u32 {
        match self {
            Self::Emergency | Self::Alert | Self::Critical => 5,
            Self::Error => 4,
            Self::Warning => 3,
            Self::Notice => 2,
            Self::Info | Self::Debug => 0,
        }
    }
}

/// The matches that `go/transaction.go` wrote.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Match> {
    let mut batch = Reader(bytes);
    let mut matches = Vec::new();
    while batch.more() {
        matches.push(one(&mut batch));
    }
    matches
}

fn one(batch: &mut Reader<'_>) -> Match {
    Match {
        rule: batch.number(),
        severity: usize::try_from(batch.signed()).ok().and_then(|index| Severity::ALL.get(index).copied()),
        phase: batch.number(),
        disruptive: batch.number() != 0,
        file: batch.text(),
        line: batch.number(),
        version: batch.text(),
        message: batch.text(),
        data: batch.text(),
        tags: (0..batch.number()).map(|_| batch.text()).collect(),
        places: (0..batch.number())
            .map(|_| Place { variable: batch.text(), key: batch.text(), value: batch.text() })
            .collect(),
    }
}
