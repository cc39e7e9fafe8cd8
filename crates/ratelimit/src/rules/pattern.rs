//! Wildcards in values: `*` stands for any text, also none.

/// A value with at least one `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Box<str>,
}

impl Pattern {
    /// A pattern, when the value has a wildcard.
    pub(super) fn new(value: &str) -> Option<Self> {
        value.contains('*').then(|| Self { text: value.into() })
    }

    /// As it is written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// How much of it is not wildcard: the more, the more specific.
    pub(super) fn literal(&self) -> usize {
        self.text.bytes().filter(|byte| *byte != b'*').count()
    }

    /// Whether a value matches. What stands between two wildcards is looked for from the left, which is enough: a later place
    /// leaves less for the rest.
    pub(super) fn matches(&self, value: &str) -> bool {
        let Some((prefix, rest)) = self.text.split_once('*') else { return *self.text == *value };
        let Some(mut left) = value.strip_prefix(prefix) else { return false };
        let (between, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in between.split('*') {
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(suffix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The obvious way: each wildcard tries every length.
    fn slow(pattern: &[u8], value: &[u8]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some((b'*', rest)) => (0..=value.len()).any(|skip| slow(rest, &value[skip..])),
            Some((byte, rest)) => value.split_first().is_some_and(|(first, value)| first == byte && slow(rest, value)),
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_trying_everything_finds(pattern in "[ab*]{0,6}", value in "[ab]{0,8}") {
            let fast = Pattern::new(&pattern).map_or(pattern == value, |pattern| pattern.matches(&value));
            prop_assert_eq!(fast, slow(pattern.as_bytes(), value.as_bytes()));
        }
    }

    #[test]
    fn a_wildcard_may_stand_anywhere() {
        for (pattern, value) in [("*", ""), ("a*", "a"), ("*z", "z"), ("/api/*/users", "/api/v1/users"), ("a**b", "ab")]
        {
            assert!(Pattern::new(pattern).unwrap().matches(value), "{pattern} {value}");
        }
        for (pattern, value) in [("ab*ba", "aba"), ("a*", ""), ("*a*b", "ba"), ("a*c*e", "ace ")] {
            assert!(!Pattern::new(pattern).unwrap().matches(value), "{pattern} {value}");
        }
        assert!(Pattern::new("plain").is_none());
    }
}
