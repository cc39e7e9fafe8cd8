//! What a rule allows: so many hits in a span of time, counted in one of several ways.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds: since the Unix epoch, or a span of time.
pub type Millis = u64;

/// How hits are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Counters that start anew at each full unit. At the turn of two units twice the limit can pass at once.
    #[default]
    FixedWindow,
    /// Never more than the limit in any span of one unit.
    SlidingWindow,
    /// A bucket of `burst` tokens that fills evenly at the rate of the limit (GCRA).
    TokenBucket,
}

/// So many hits in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Hits in one span.
    pub requests: u32,
    /// The span.
    pub unit: Unit,
    /// How they are counted.
    pub algorithm: Algorithm,
    /// The size of the bucket; only with [`Algorithm::TokenBucket`].
    pub burst: u32,
}

impl Limit {
    /// A limit of fixed windows.
    pub const fn fixed(requests: u32, unit: Unit) -> Self {
        Self { requests, unit, algorithm: Algorithm::FixedWindow, burst: requests }
    }

    /// The most that can be in use at one time.
    pub fn capacity(&self) -> u64 {
        match self.algorithm {
            Algorithm::FixedWindow | Algorithm::SlidingWindow => self.requests.into(),
            Algorithm::TokenBucket => self.burst.into(),
        }
    }
}

/// A span of whole seconds, as `minute` or `90s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(u32);

/// The named units with their seconds and their numbers in Envoy's protocol. Months have 30 days, years 365.
const NAMED: [(&str, u32, i32); 7] = [
    ("second", 1, 1),
    ("minute", 60, 2),
    ("hour", 3600, 3),
    ("day", 86_400, 4),
    ("week", 604_800, 7),
    ("month", 2_592_000, 5),
    ("year", 31_536_000, 6),
];

impl Unit {
    /// One second.
    pub const SECOND: Self = Self(1);
    /// One minute.
    pub const MINUTE: Self = Self(60);
    /// One hour.
    pub const HOUR: Self = Self(3600);

    /// A span of so many seconds, at least one.
    pub fn seconds(seconds: u32) -> Option<Self> {
        (seconds > 0).then_some(Self(seconds))
    }

    /// Reads `minute`, in any case, or a duration of whole seconds such as `90s` and `36h`.
    pub fn parse(text: &str) -> Option<Self> {
        let named = NAMED.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text));
        if let Some((_, seconds, _)) = named {
            return Some(Self(*seconds));
        }
        let span = kit::duration::parse(text)?;
        if span.subsec_nanos() > 0 { None } else { Self::seconds(u32::try_from(span.as_secs()).ok()?) }
    }

    /// The unit of a number in Envoy's protocol.
    pub fn from_number(number: i32) -> Option<Self> {
        NAMED.iter().find(|(.., known)| *known == number).map(|(_, seconds, _)| Self(*seconds))
    }

    /// The number in Envoy's protocol; 0 (unknown) where it has no name for the span.
    pub fn number(self) -> i32 {
        NAMED.iter().find(|(_, seconds, _)| *seconds == self.0).map_or(0, |(.., number)| *number)
    }

    /// Its length in seconds.
    pub fn as_secs(self) -> u64 {
        self.0.into()
    }

    /// Its length in milliseconds.
    pub fn as_millis(self) -> Millis {
        self.as_secs() * 1000
    }

    /// When the window that holds `now` began.
    pub fn window_start(self, now: Millis) -> Millis {
        now - now % self.as_millis()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMED.iter().find(|(_, seconds, _)| *seconds == self.0) {
            Some((name, ..)) => formatter.write_str(name),
            None => write!(formatter, "{}s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_names_lengths_and_numbers() {
        for (name, seconds, number) in NAMED {
            let unit = Unit::parse(&name.to_uppercase()).unwrap();
            assert_eq!((unit.as_secs(), unit.number(), unit.to_string()), (seconds.into(), number, name.to_owned()));
            assert_eq!(Unit::from_number(number), Some(unit));
        }
        assert_eq!(Unit::from_number(0), None);
    }

    #[test]
    fn a_span_may_be_any_number_of_seconds() {
        assert_eq!(Unit::parse("1m30s").map(Unit::as_secs), Some(90));
        assert_eq!(Unit::parse("60s"), Unit::parse("minute"));
        assert_eq!(Unit::parse("90s").unwrap().number(), 0);
        for wrong in ["", "0s", "500ms", "minutes", "unknown", "2000000h", "-1s"] {
            assert_eq!(Unit::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn windows_begin_at_full_units() {
        assert_eq!(Unit::MINUTE.window_start(125_500), 120_000);
        assert_eq!(Unit::SECOND.window_start(999), 0);
    }
}
