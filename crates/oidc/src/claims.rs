//! What is said of a person, put together from where it comes from: ID tokens, the user info endpoint, renewed ID tokens.

use crate::jwt::Claims;
use crate::provider::Error;

/// The most that is kept of one person, in bytes of JSON: rules are evaluated over it at each check.
const MOST: usize = 64 << 10;

/// What is said of the login itself, which a renewed ID token may leave out.
const OF_THE_LOGIN: &[&str] = &["acr", "amr", "auth_time", "nonce", "sid"];

/// Adds what the user info endpoint says to what the provider has signed, which goes first. Whether an address is verified is
/// said of one address, and not of another.
pub(crate) fn add(claims: &mut Claims, more: Claims) {
    let another = claims.get("email").is_some_and(|email| more.get("email") != Some(email));
    for (name, value) in more {
        if !(another && name == "email_verified") {
            claims.entry(name).or_insert(value);
        }
    }
}

/// The claims after a refresh: those of the new ID token and what is `more`. What the provider does not say any more is gone, so
/// that nobody keeps a group that was taken away.
pub(crate) fn renewed(old: &Claims, mut id: Claims, more: Claims) -> Claims {
    add(&mut id, more);
    for name in OF_THE_LOGIN {
        if let Some(value) = old.get(*name) {
            id.entry(*name).or_insert_with(|| value.clone());
        }
    }
    id
}

/// The claims, unless that is too much to keep.
pub(crate) fn bounded(claims: Claims) -> Result<Claims, Error> {
    match serde_json::to_vec(&claims) {
        Ok(text) if text.len() <= MOST => Ok(claims),
        _ => Err(Error::Invalid(format!("the claims are larger than {} KiB", MOST >> 10))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn claims(value: &Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_signed_goes_first_and_no_address_is_verified_by_another() {
        let with = |signed: Value, more: Value| {
            let mut all = claims(&signed);
            add(&mut all, claims(&more));
            Value::from(all)
        };
        let verified = json!({ "email": "ann@example.com", "email_verified": true, "groups": ["ops"] });
        assert_eq!(
            with(json!({ "email": "root@example.com" }), verified.clone()),
            json!({ "email": "root@example.com", "groups": ["ops"] })
        );
        assert_eq!(with(json!({ "email": "ann@example.com" }), verified.clone()), verified);
        assert_eq!(with(json!({ "groups": [] }), verified)["groups"], json!([]));
    }

    #[test]
    fn what_is_not_said_any_more_is_gone_but_for_the_login() {
        let old = claims(&json!({ "sub": "ann", "groups": ["ops"], "acr": "gold", "auth_time": 7, "x": 1 }));
        let new = claims(&json!({ "sub": "ann", "acr": "silver" }));
        let all = renewed(&old, new, claims(&json!({ "more": 1 })));
        assert_eq!(Value::from(all), json!({ "sub": "ann", "acr": "silver", "auth_time": 7, "more": 1 }));
    }
}
