//! The keys that a provider publishes: the first so many that can sign. What comes after them is counted and not kept, so that a
//! list takes no more room than its text.

use std::fmt;

use jsonwebtoken::jwk::Jwk;
use openidconnect::core::CoreJsonWebKey;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::jwt::{self, MOST_KEYS};

/// What counts of the published keys.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Set")]
pub(super) struct Published {
    /// For ID tokens.
    pub(super) of_id: Vec<CoreJsonWebKey>,
    /// For tokens that others bring.
    pub(super) of_others: jwt::Keys,
    /// How many there are beyond those that count.
    pub(super) left_out: usize,
    kept: usize,
}

#[derive(Deserialize)]
struct Set {
    #[serde(deserialize_with = "listed")]
    keys: Published,
}

impl From<Set> for Published {
    fn from(set: Set) -> Self {
        set.keys
    }
}

fn listed<'de, D: Deserializer<'de>>(keys: D) -> Result<Published, D::Error> {
    keys.deserialize_seq(List)
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Published;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Published, A::Error> {
        let mut published = Published::default();
        while published.kept < MOST_KEYS {
            let Some(key) = list.next_element()? else { return Ok(published) };
            published.add(&key);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            published.left_out += 1;
        }
        Ok(published)
    }
}

impl Published {
    /// Each key is read alone: one that nobody understands does not spoil the others, nor does it take the place of one.
    fn add(&mut self, key: &Value) {
        if key.get("use").and_then(Value::as_str) == Some("enc") {
            return;
        }
        let of_id = CoreJsonWebKey::deserialize(key).map(|key| self.of_id.push(key)).is_ok();
        let of_others = Jwk::deserialize(key).is_ok_and(|key| self.of_others.add(&key));
        self.kept += usize::from(of_id || of_others);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: usize) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": name.to_string(),
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        })
    }

    fn read(keys: &[Value]) -> Published {
        serde_json::from_str(&json!({ "keys": keys }).to_string()).unwrap()
    }

    #[test]
    fn of_a_thousand_keys_the_first_hundred_count() {
        let keys: Vec<Value> = (0..1000).map(key).collect();
        let found = read(&keys);
        assert_eq!((found.of_id.len(), found.of_others.len(), found.left_out), (MOST_KEYS, MOST_KEYS, 900));
        let few = read(&keys[..MOST_KEYS]);
        assert_eq!((few.of_id.len(), few.of_others.len(), few.left_out), (MOST_KEYS, MOST_KEYS, 0));
    }

    #[test]
    fn what_signs_nothing_takes_no_place() {
        let mut other = key(0);
        other["use"] = "enc".into();
        let strange = [other, json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }), json!(7), json!({})];
        let keys: Vec<Value> = strange.into_iter().cycle().take(1000).chain([key(1)]).collect();
        let found = read(&keys);
        assert_eq!((found.of_id.len(), found.of_others.len(), found.left_out), (1, 1, 0));
    }

    #[test]
    fn an_answer_without_keys_is_an_error() {
        for wrong in ["{}", r#"{"keys": null}"#, r#"{"keys": {}}"#, "[]", "7"] {
            assert!(serde_json::from_str::<Published>(wrong).is_err(), "{wrong}");
        }
    }
}
