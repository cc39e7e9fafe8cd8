//! Tokens of this provider: ID tokens by `openidconnect`, tokens that others bring by our own rules.

use openidconnect::core::{CoreIdToken, CoreJwsSigningAlgorithm};
use openidconnect::{ClaimsVerificationError, Nonce};
use serde_json::Value;

use super::{Error, Provider};
use crate::jwt::{self, Claims, Expected, Refusal};
use crate::settings::Bearer;
use crate::{clock, random};

impl Provider {
    /// The claims of an ID token that holds: signature, issuer, audience, time, and the nonce where one was sent.
    pub(super) async fn verified(&self, token: &CoreIdToken, nonce: Option<&str>) -> Result<Claims, Error> {
        match self.verify_id(token, nonce) {
            // Keys may have been replaced since they were read.
            Err(ClaimsVerificationError::SignatureVerification(_)) if self.learn_again().await => {
                self.verify_id(token, nonce)
            }
            first => first,
        }
        .map_err(|error| Error::Invalid(error.to_string()))
        .and_then(|()| self.claims(token))
    }

    fn verify_id(&self, token: &CoreIdToken, nonce: Option<&str>) -> Result<(), ClaimsVerificationError> {
        let other = |error: Error| ClaimsVerificationError::Other(error.to_string());
        let known = self.known().map_err(other)?;
        let client = self.client(&known).map_err(other)?;
        let algorithm =
            |name: &String| serde_json::from_value::<CoreJwsSigningAlgorithm>(Value::from(name.as_str())).ok();
        let trusted = self.settings.trusted_audiences.clone();
        let verifier = client
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
        let usual = || ["at+jwt", "application/at+jwt", "jwt", ""].map(str::to_owned).to_vec();
        let types = wanted.types.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
        let types = if types.is_empty() { usual() } else { types };
        self.foreign(token, &wanted.audiences, &types).await
    }

    /// The claims of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6), but for its `jti`.
    pub async fn logout_token(&self, token: &str) -> Result<Claims, Refusal> {
        let types = ["logout+jwt", "application/logout+jwt", "jwt", ""].map(str::to_owned);
        self.foreign(token, std::slice::from_ref(&self.settings.client_id), &types).await
    }

    async fn foreign(&self, token: &str, audiences: &[String], types: &[String]) -> Result<Claims, Refusal> {
        let verify = || {
            let known = self.known().map_err(|_| Refusal::UnknownKey)?;
            let issuer = &self.settings.issuer;
            let expected = Expected { issuer, audiences, algorithms: &self.algorithms, types };
            jwt::verify(token, &known.keys, &expected, clock::now())
        };
        match verify() {
            Err(Refusal::UnknownKey) if self.learn_again().await => verify(),
            first => first,
        }
    }
}
