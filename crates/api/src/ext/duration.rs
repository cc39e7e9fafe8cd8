//! Durations as resources write them.

use std::time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A duration of GEP-2257: up to four parts such as `1h30m`, `5s`, `250ms`; the units are `h`, `m`, `s` and `ms`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duration(pub String);

/// GEP-2257's grammar, as CRDs have it.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write up to four parts of digits and a unit (h, m, s, ms), such as 1h30m or 250ms")]
pub struct DurationError(String);

impl Duration {
    /// The duration's length.
    ///
    /// # Errors
    /// When the text isn't in GEP-2257's grammar.
    pub fn parse(&self) -> Result<time::Duration, DurationError> {
        parse(&self.0)
    }
}

/// Reads a duration of GEP-2257.
///
/// # Errors
/// When the text isn't in its grammar.
pub fn parse(text: &str) -> Result<time::Duration, DurationError> {
    let error = || DurationError(text.to_owned());
    let mut rest = text;
    let mut total = time::Duration::ZERO;
    for _ in 0..4 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        if !(1..=5).contains(&digits) {
            return Err(error());
        }
        let units = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(units);
        let millis = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return Err(error()),
        };
        total += time::Duration::from_millis(number.parse::<u64>().map_err(|_| error())? * millis);
        rest = tail;
        if rest.is_empty() {
            return Ok(total);
        }
    }
    Err(error())
}

/// In whole milliseconds, and at most 99999 hours.
impl From<time::Duration> for Duration {
    fn from(length: time::Duration) -> Self {
        let millis = length.as_millis().min(99_999 * 3_600_000);
        let parts = [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let mut text = String::new();
        let mut rest = millis;
        for (unit, name) in parts {
            if rest >= unit {
                text += &format!("{}{name}", rest / unit);
                rest %= unit;
            }
        }
        Self(if text.is_empty() { "0s".to_owned() } else { text })
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let parsed = |text: &str| parse(text).map(|length| length.as_millis()).ok();
        assert_eq!(parsed("1h30m"), Some(5_400_000));
        assert_eq!(parsed("10s"), Some(10_000));
        assert_eq!(parsed("1h1m1s1ms"), Some(3_661_001));
        assert_eq!(parsed("0s"), Some(0));
    }

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for text in ["1h30m", "10s", "1h1m1s1ms", "0s", "90ms"] {
            assert_eq!(Duration::from(parse(text).unwrap()).0, text);
        }
        assert_eq!(Duration::from(time::Duration::MAX).0, "99999h");
    }

    #[test]
    fn what_the_grammar_does_not_have_is_an_error() {
        for text in ["", "1", "s", "1.5h", "-1s", "100000s", "1d", "1h1h1h1h1h", "1s ", "1us", "+1s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
