//! Sizes in bytes, as Kubernetes writes quantities.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A size: a number of bytes, or a text such as `32Ki`, `1.5M` or `1e3`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// Bytes.
    Number(i64),
    /// Bytes with a decimal (`k M G T P E`) or binary (`Ki Mi Gi Ti Pi Ei`) suffix, or an exponent.
    Text(String),
}

/// A text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a size in bytes; write a number that is not negative and a suffix, such as 32Ki or 1M")]
pub struct QuantityError(String);

const SUFFIXES: [(&str, f64); 13] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1024.0 * 1_125_899_906_842_624.0),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("m", 1e-3),
];

impl Quantity {
    /// The size in bytes, rounded up as Kubernetes does.
    ///
    /// # Errors
    /// When it isn't a quantity, or negative, or greater than 2⁶³.
    pub fn bytes(&self) -> Result<u64, QuantityError> {
        let error = || QuantityError(self.to_string());
        let text = match self {
            Self::Number(number) => return u64::try_from(*number).map_err(|_| error()),
            Self::Text(text) => text.as_str(),
        };
        let suffix = SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
        let (number, factor) = suffix.unwrap_or((text, 1.0));
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
        let value = number.parse::<f64>().map_err(|_| error())? * factor;
        match plain && (0.0..=9.2e18).contains(&value) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            true => Ok(value.ceil() as u64),
            false => Err(error()),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => fmt::Debug::fmt(text, f),
        }
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let bytes = |text: &str| Quantity::Text(text.to_owned()).bytes().ok();
        assert_eq!(Quantity::Number(12).bytes(), Ok(12));
        assert_eq!(bytes("32Ki"), Some(32_768));
        assert_eq!(bytes("1.5M"), Some(1_500_000));
        assert_eq!(bytes("1e3"), Some(1_000));
        assert_eq!(bytes("100m"), Some(1));
        for wrong in ["", "Ki", "-1", "1 Ki", "nan", "inf", "1e30"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
        assert!(Quantity::Number(-1).bytes().is_err());
    }
}
