//! A mutation table over a valid token.

use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::json;

use super::*;

const NOW: Seconds = 1_000_000;

struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}

impl Signer {
    fn new(algorithm: Algorithm) -> Self {
        let kind = if algorithm == Algorithm::RS256 { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 };
        let pem = KeyPair::generate_for(kind).unwrap().serialize_pem();
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            _ => EncodingKey::from_ec_pem(pem.as_bytes()),
        }
        .unwrap();
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        jwk["kid"] = "one".into();
        Self { key, algorithm, jwk }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        format!("{text}.{}", jsonwebtoken::crypto::sign(text.as_bytes(), &self.key, self.algorithm).unwrap())
    }

    fn keys(&self) -> Keys {
        keys(&[&self.jwk])
    }
}

fn keys(jwks: &[&Value]) -> Keys {
    Keys::of(&serde_json::from_value(json!({ "keys": jwks })).unwrap())
}

fn claims() -> Value {
    json!({ "iss": "https://id.example", "aud": ["api", "other"], "sub": "ann", "exp": NOW + 300, "iat": NOW })
}

fn check(token: &str, keys: &Keys) -> Result<Claims, Refusal> {
    let expected = Expected {
        issuer: "https://id.example",
        audiences: &["api".to_owned()],
        algorithms: &[Algorithm::RS256, Algorithm::ES256],
        types: &["at+jwt", ""],
        endless: false,
    };
    verify(token, keys, &expected, NOW)
}

#[test]
fn a_token_holds_or_is_refused_for_its_reason() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let (signer, other) = (Signer::new(algorithm), Signer::new(algorithm));
        let keys = signer.keys();
        let name = if algorithm == Algorithm::RS256 { "RS256" } else { "ES256" };
        let header = json!({ "alg": name, "kid": "one", "typ": "at+JWT" });
        assert_eq!(check(&signer.sign(&header, &claims()), &keys).unwrap()["sub"], "ann");
        let with = |field: &str, value: Value| {
            let mut claims = claims();
            claims[field] = value;
            check(&signer.sign(&header, &claims), &keys).err()
        };
        assert_eq!(with("iss", json!("https://id.example.evil")), Some(Refusal::Issuer));
        assert_eq!(with("iss", json!(["https://id.example"])), Some(Refusal::Issuer));
        assert_eq!(with("aud", json!("apiary")), Some(Refusal::Audience));
        assert_eq!(with("aud", json!([["api"]])), Some(Refusal::Audience));
        assert_eq!(with("exp", json!(NOW - LEEWAY)), Some(Refusal::Expired));
        assert_eq!(with("exp", json!(NOW - LEEWAY + 1)), None);
        assert_eq!(with("exp", json!(-1)), Some(Refusal::Expired));
        assert_eq!(with("exp", json!("9999999999")), Some(Refusal::Expired));
        assert_eq!(with("exp", json!(1e300)), Some(Refusal::Expired));
        assert_eq!(with("exp", json!(u64::MAX)), Some(Refusal::Expired));
        assert_eq!(with("nbf", json!(u64::MAX)), Some(Refusal::NotYet));
        assert_eq!(with("exp", json!(f64::from(u32::try_from(NOW).unwrap()) + 300.5)), None);
        assert_eq!(with("nbf", json!(NOW + LEEWAY + 1)), Some(Refusal::NotYet));
        assert_eq!(with("nbf", json!("soon")), Some(Refusal::NotYet));
        assert_eq!(with("iat", json!(NOW + LEEWAY + 1)), Some(Refusal::NotYet));
        let headed = |header: Value| check(&signer.sign(&header, &claims()), &keys).err();
        assert_eq!(headed(json!({ "alg": name, "kid": "one" })), None);
        assert_eq!(headed(json!({ "alg": name })), None, "the only key");
        assert_eq!(headed(json!({ "alg": name, "kid": "two" })), Some(Refusal::UnknownKey));
        assert_eq!(headed(json!({ "alg": name, "kid": 1 })), Some(Refusal::Malformed));
        assert_eq!(headed(json!({ "alg": name, "typ": "JWT" })), Some(Refusal::Type));
        assert_eq!(headed(json!({ "alg": name, "typ": 1 })), Some(Refusal::Type));
        assert_eq!(headed(json!({ "alg": name, "crit": [] })), Some(Refusal::Critical));
        assert_eq!(headed(json!({ "alg": name, "b64": true })), Some(Refusal::Critical));
        for none in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "RS1", "dir"] {
            assert_eq!(headed(json!({ "alg": none })), Some(Refusal::Algorithm), "{none}");
        }
        let confused = if algorithm == Algorithm::RS256 { "ES256" } else { "RS256" };
        assert_eq!(headed(json!({ "alg": confused, "kid": "one" })), Some(Refusal::Signature));
        assert_eq!(headed(json!({ "alg": "PS512", "kid": "one" })), Some(Refusal::Algorithm), "not in the list");
        // The token brings its own key, in each of the ways there are.
        let evil = "https://evil.example/keys";
        let brought = json!({ "alg": name, "kid": "one", "jwk": other.jwk, "jku": evil, "x5u": evil });
        assert_eq!(check(&other.sign(&brought, &claims()), &keys).err(), Some(Refusal::Signature));
    }
}

#[test]
fn keys_are_chosen_by_name_use_and_algorithm() {
    let (one, two) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let token = one.sign(&json!({ "alg": "ES256", "kid": "one" }), &claims());
    let nameless = one.sign(&json!({ "alg": "ES256" }), &claims());
    let mut second = two.jwk;
    second["kid"] = "two".into();
    let both = keys(&[&second, &one.jwk]);
    assert!(check(&token, &both).is_ok());
    assert_eq!(check(&nameless, &both).err(), Some(Refusal::UnknownKey), "nobody guesses among several");
    let mut for_encryption = one.jwk.clone();
    for_encryption["use"] = "enc".into();
    assert_eq!(check(&token, &keys(&[&for_encryption])).err(), Some(Refusal::UnknownKey));
    let mut for_other = one.jwk;
    for_other["alg"] = "ES384".into();
    assert_eq!(check(&token, &keys(&[&for_other])).err(), Some(Refusal::Signature));
}

#[test]
fn of_keys_of_one_name_or_none_a_few_are_tried() {
    let (own, other) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    for name in [json!("one"), Value::Null] {
        let named = |of: &Signer| {
            let mut jwk = of.jwk.clone();
            jwk["kid"] = name.clone();
            jwk
        };
        let header = if name.is_null() { json!({ "alg": "ES256" }) } else { json!({ "alg": "ES256", "kid": name }) };
        let token = own.sign(&header, &claims());
        let (right, wrong) = (named(&own), named(&other));
        for (before, held) in [(MOST_TRIED - 1, true), (MOST_TRIED, false)] {
            let all: Vec<&Value> = std::iter::repeat_n(&wrong, before).chain([&right]).collect();
            assert_eq!(check(&token, &keys(&all)).is_ok(), held, "{name}, after {before} others");
        }
    }
}

proptest! {
    #[test]
    fn a_changed_byte_is_no_token(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        use std::sync::LazyLock;
        static SIGNED: LazyLock<(String, Keys)> = LazyLock::new(|| {
            let signer = Signer::new(Algorithm::ES256);
            (signer.sign(&json!({ "alg": "ES256", "kid": "one" }), &claims()), signer.keys())
        });
        let (token, keys) = &*SIGNED;
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(check(&String::from_utf8_lossy(&bytes), keys).is_err());
    }

    #[test]
    fn nothing_makes_verifying_panic(token in ".{0,80}\\..{0,80}\\..{0,80}") {
        prop_assert!(check(&token, &Keys::default()).is_err());
        claims_of(&token);
    }
}
