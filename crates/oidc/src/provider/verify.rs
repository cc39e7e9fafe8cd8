//! Tokens of this provider: ID tokens by `openidconnect`, tokens that others bring by our own rules.

use openidconnect::core::{CoreIdToken, CoreJwsSigningAlgorithm};
use openidconnect::{ClaimsVerificationError, Nonce, SignatureVerificationError};
use serde_json::Value;

use super::learn::too_many;
use super::{Error, Known, Provider};
use crate::jwt::{self, Claims, Expected, Refusal};
use crate::settings::Bearer;
use crate::{clock, random};

/// The types of access tokens unless others are configured; some providers name none.
const ACCESS: &[&str] = &["at+jwt", "application/at+jwt", "jwt", ""];
const LOGOUT: &[&str] = &["logout+jwt", "application/logout+jwt", "jwt", ""];
const USER_INFO: &[&str] = &["jwt", ""];

impl Provider {
    /// The claims of an ID token that holds: signature, issuer, audience, time, and the nonce where one was sent.
    pub(super) async fn verified(&self, token: &CoreIdToken, nonce: Option<&str>) -> Result<Claims, Error> {
        let mut known = self.known()?;
        let mut held = self.verify_id(&known, token, nonce);
        // Keys may have been replaced since they were read.
        if let Err(ClaimsVerificationError::SignatureVerification(_)) = held
            && let Some(now) = self.learn_again(&known).await
        {
            known = now;
            held = self.verify_id(&known, token, nonce);
        }
        held.map_err(|error| match error {
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)
                if known.left_out > 0 =>
            {
                too_many(known.left_out)
            }
            error => Error::Invalid(error.to_string()),
        })?;
        self.claims(token)
    }

    fn verify_id(
        &self,
        known: &Known,
        token: &CoreIdToken,
        nonce: Option<&str>,
    ) -> Result<(), ClaimsVerificationError> {
        let algorithm =
            |name: &String| serde_json::from_value::<CoreJwsSigningAlgorithm>(Value::from(name.as_str())).ok();
        let trusted = self.settings.trusted_audiences.clone();
        let verifier = known
            .client
            .id_token_verifier()
            .set_allowed_algs(self.settings.algorithms.iter().filter_map(algorithm))
            .set_other_audience_verifier_fn(move |audience| trusted.iter().any(|one| *one == **audience));
        let matches = |found: Option<&Nonce>| match (nonce, found) {
            (None, _) => Ok(()),
            (Some(wanted), Some(found)) if random::equal(wanted, found.secret()) => Ok(()),
            (Some(_), _) => Err("the nonce is not the one that was sent".to_owned()),
        };
        token.claims(&verifier, matches).map(|_| ())
    }

    /// All claims of a token whose signature was verified, and what is not looked at there.
    fn claims(&self, token: &CoreIdToken) -> Result<Claims, Error> {
        let claims = jwt::claims_of(&token.to_string()).ok_or_else(|| Error::Invalid("no claims".to_owned()))?;
        if claims.get("azp").is_some_and(|party| party.as_str() != Some(&self.settings.client_id)) {
            return Err(Error::Invalid("the ID token was made for another client (azp)".to_owned()));
        }
        jwt::not_before(&claims, clock::now()).map_err(|refusal| Error::Invalid(format!("the ID token: {refusal}")))?;
        Ok(claims)
    }

    /// The claims of a token that a program brought.
    pub async fn bearer(&self, token: &str, wanted: &Bearer) -> Result<Claims, Refusal> {
        let given: Vec<String> = wanted.types.iter().map(|name| name.to_ascii_lowercase()).collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let types = if given.is_empty() { ACCESS } else { &given };
        let claims = self.foreign(token, &wanted.audiences, types, false).await?;
        // Tokens that tell of something, as those of a logout do, let nobody in; some providers give them no type of their own.
        if claims.contains_key("events") { Err(Refusal::Type) } else { Ok(claims) }
    }

    /// The claims of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6), but for its `jti`.
    pub async fn logout_token(&self, token: &str) -> Result<Claims, Refusal> {
        self.foreign(token, std::slice::from_ref(&self.settings.client_id), LOGOUT, false).await
    }

    /// The claims of a signed answer of the user info endpoint (OpenID Connect Core 1.0, 5.3.2).
    pub(super) async fn signed_user_info(&self, token: &str) -> Result<Claims, Refusal> {
        self.foreign(token, std::slice::from_ref(&self.settings.client_id), USER_INFO, true).await
    }

    async fn foreign(
        &self,
        token: &str,
        audiences: &[String],
        types: &[&str],
        endless: bool,
    ) -> Result<Claims, Refusal> {
        let issuer = &self.settings.issuer;
        let expected = Expected { issuer, audiences, algorithms: &self.algorithms, types, endless };
        let verify = |known: &Known| jwt::verify(token, &known.keys, &expected, clock::now());
        let known = self.known().map_err(|_| Refusal::Unready)?;
        match verify(&known) {
            Err(Refusal::UnknownKey) => match self.learn_again(&known).await {
                Some(known) => verify(&known),
                None => Err(Refusal::UnknownKey),
            },
            first => first,
        }
    }
}
