//! Texts that people write without quotes: `value: 429`, `value: true`.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// For `#[serde(deserialize_with = "kit::config::text")]`: a text, or a whole number or truth value as it would be written.
/// Other numbers have to be quoted: `1.10` and `1.1` are one number, and two texts.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_any(Text)
}

struct Text;

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Err(E::custom(format_args!(
            "a number with a point or an exponent ({value}) where a text belongs, allowed: the same in quotes"
        )))
    }
}

#[cfg(test)]
mod tests {
    #[derive(Debug, serde::Deserialize)]
    struct Holder {
        #[serde(deserialize_with = "super::text")]
        value: String,
    }

    #[test]
    fn scalars_are_texts_as_they_are_written() {
        for (written, wanted) in [("abc", "abc"), ("429", "429"), ("-1", "-1"), ("true", "true"), ("'1.10'", "1.10")] {
            let holder: Holder = crate::config::parse("test.yaml", &format!("value: {written}")).unwrap();
            assert_eq!(holder.value, wanted);
        }
        let error = crate::config::parse::<Holder>("test.yaml", "value: 1.10").unwrap_err().to_string();
        assert!(error.contains("test.yaml:1:8: value: a number with a point"), "{error}");
        assert!(error.contains("in quotes"), "{error}");
    }
}
