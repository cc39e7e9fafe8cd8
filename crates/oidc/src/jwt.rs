//! Signed tokens that others bring: access tokens of programs and logout tokens of providers.
//!
//! Only public keys sign: algorithms with a shared secret and `none` do not exist here. The key is one of the issuer's published
//! keys; what a token says of its key (`jku`, `jwk`, `x5u`) is not looked at.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::clock::Seconds;

/// The longest token that is looked at.
const LONGEST: usize = 16 << 10;
/// The most keys of a provider.
pub const MOST_KEYS: usize = 100;
/// The most keys that are tried for one token: several may have one name, or none.
const MOST_TRIED: usize = 8;
/// How much clocks may differ.
pub const LEEWAY: Seconds = 60;

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// An algorithm of public keys by its name.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// The names of all of them.
pub fn names() -> String {
    ALGORITHMS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Claims by name.
pub type Claims = Map<String, Value>;

/// Why a token does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no token, or too long.
    #[error("it is no signed token")]
    Malformed,
    /// Its header asks for something that has to be understood and is not.
    #[error("its header has critical extensions")]
    Critical,
    /// It is signed in a way that is not allowed.
    #[error("its algorithm is not allowed")]
    Algorithm,
    /// It is a token for something else.
    #[error("it is of another type")]
    Type,
    /// Nobody knows its key.
    #[error("its key is not among the issuer's")]
    UnknownKey,
    /// The signature is not its own.
    #[error("its signature is wrong")]
    Signature,
    /// It is from somebody else.
    #[error("its issuer is another")]
    Issuer,
    /// It is for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// It has expired, or has no end.
    #[error("it has expired")]
    Expired,
    /// It is not valid yet.
    #[error("it is not valid yet")]
    NotYet,
    /// It cannot be said: nothing is known of the issuer yet.
    #[error("the issuer's keys have not been read yet")]
    Unready,
}

/// The keys of an issuer.
#[derive(Default)]
pub struct Keys {
    named: HashMap<String, Vec<Key>>,
    nameless: Vec<Key>,
}

struct Key {
    key: DecodingKey,
    algorithm: Option<KeyAlgorithm>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.named.keys()).finish()
    }
}

impl Keys {
    /// The keys of a set that can verify; others are left out.
    pub fn of(set: &JwkSet) -> Self {
        let mut keys = Self::default();
        for jwk in &set.keys {
            keys.add(jwk);
        }
        keys
    }

    /// Adds a key; says whether it can verify.
    pub fn add(&mut self, jwk: &Jwk) -> bool {
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            return false;
        }
        let Ok(key) = DecodingKey::from_jwk(jwk) else { return false };
        let key = Key { key, algorithm: jwk.common.key_algorithm };
        match &jwk.common.key_id {
            Some(name) => self.named.entry(name.clone()).or_default().push(key),
            None => self.nameless.push(key),
        }
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.named.values().map(Vec::len).sum::<usize>() + self.nameless.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys that a token may be signed with. One without a name has to have been signed by the only key there is.
    fn candidates(&self, name: Option<&str>) -> Vec<&Key> {
        match name {
            Some(name) => self.named.get(name).into_iter().flatten().collect(),
            None if self.len() == 1 => self.named.values().flatten().chain(&self.nameless).collect(),
            None => self.nameless.iter().collect(),
        }
    }
}

/// What a token has to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// From whom.
    pub issuer: &'a str,
    /// For one of these.
    pub audiences: &'a [String],
    /// Signed so.
    pub algorithms: &'a [Algorithm],
    /// Of one of these types, in lower case; one without a type passes when the empty text is among them.
    pub types: &'a [&'a str],
    /// Whether it may be without an end.
    pub endless: bool,
}

/// Verifies a token and gives its claims.
pub fn verify(token: &str, keys: &Keys, expected: &Expected<'_>, now: Seconds) -> Result<Claims, Refusal> {
    if token.len() > LONGEST || token.split('.').count() != 3 {
        return Err(Refusal::Malformed);
    }
    let first = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(first).ok().and_then(|text| serde_json::from_slice::<Claims>(&text).ok());
    let header = header.ok_or(Refusal::Malformed)?;
    // `b64` changes what is signed (RFC 7797), and is critical by definition.
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(Refusal::Critical);
    }
    let kind = header.get("typ").map_or(Some(String::new()), |kind| Some(kind.as_str()?.to_ascii_lowercase()));
    if !kind.is_some_and(|kind| expected.types.contains(&kind.as_str())) {
        return Err(Refusal::Type);
    }
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(algorithm).ok_or(Refusal::Algorithm)?;
    if !expected.algorithms.contains(&algorithm) {
        return Err(Refusal::Algorithm);
    }
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    let claims = signed(token, keys, header.kid.as_deref(), algorithm)?;
    judge(&claims, expected, now).map(|()| claims)
}

fn signed(token: &str, keys: &Keys, name: Option<&str>, algorithm: Algorithm) -> Result<Claims, Refusal> {
    let candidates = keys.candidates(name);
    if candidates.is_empty() {
        return Err(Refusal::UnknownKey);
    }
    let mut validation = Validation::new(algorithm);
    // Claims are judged below, by our own clock and with our own reasons.
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let wanted = |key: &&Key| {
        let stated = key.algorithm.map(|stated| stated.to_string());
        stated.is_none_or(|stated| crate::jwt::algorithm(&stated) == Some(algorithm))
    };
    let fitting = candidates.into_iter().filter(wanted).filter(|key| key.key.family() == algorithm.family());
    fitting
        .take(MOST_TRIED)
        .filter_map(|key| decode::<Claims>(token, &key.key, &validation).ok())
        .map(|data| data.claims)
        .next()
        .ok_or(Refusal::Signature)
}

fn judge(claims: &Claims, expected: &Expected<'_>, now: Seconds) -> Result<(), Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(Refusal::Issuer);
    }
    let meant =
        |audience: &Value| audience.as_str().is_some_and(|name| expected.audiences.iter().any(|one| one == name));
    let audience = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(meant),
        Some(one) => meant(one),
        None => false,
    };
    if !audience {
        return Err(Refusal::Audience);
    }
    let endless = expected.endless && !claims.contains_key("exp");
    if !endless && seconds(claims, "exp").is_none_or(|end| end + LEEWAY <= now) {
        return Err(Refusal::Expired);
    }
    not_before(claims, now)
}

/// Refuses what is not valid yet, by `nbf` or `iat`.
pub fn not_before(claims: &Claims, now: Seconds) -> Result<(), Refusal> {
    let early = ["nbf", "iat"].iter().any(|name| match claims.get(*name) {
        None => false,
        Some(_) => seconds(claims, name).is_none_or(|start| start > now + LEEWAY),
    });
    if early { Err(Refusal::NotYet) } else { Ok(()) }
}

/// A time among the claims.
pub fn seconds(claims: &Claims, name: &str) -> Option<Seconds> {
    // Fractions of a second are allowed; what is beyond any time is none, so that nothing can overflow.
    claims.get(name)?.as_f64().filter(|number| (0.0..1e12).contains(number)).map(whole)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller has looked at the range")]
fn whole(number: f64) -> Seconds {
    number as Seconds
}

/// The claims of a token whose signature others have verified.
pub fn claims_of(token: &str) -> Option<Claims> {
    payload(token)
}

/// Who says to have made a token, which nobody has verified yet.
pub fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    if token.len() > LONGEST { None } else { payload::<Named>(token).map(|named| named.iss) }
}

fn payload<T: DeserializeOwned>(token: &str) -> Option<T> {
    let mut parts = token.split('.');
    let (_, payload) = (parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests;
