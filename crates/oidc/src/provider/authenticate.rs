//! How we tell a provider who we are.

use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::{Error, Known, Provider};
use crate::settings::ClientAuth;
use crate::{clock, random};

/// What a signed token of ours lasts.
const ASSERTION: u64 = 60;

/// What goes into a request to the token endpoint.
pub(super) enum Credentials {
    /// The secret in the header.
    Basic(String),
    /// The secret in the body.
    Post(String),
    /// A token that we signed.
    Assertion(String),
    /// Nothing but our id.
    None,
}

impl Provider {
    /// Our credentials now. Files are read each time: they may have been replaced.
    pub(super) async fn credentials(&self, known: &Known) -> Result<Credentials, Error> {
        Ok(match self.settings.authentication() {
            ClientAuth::Basic => Credentials::Basic(self.secret().await?),
            ClientAuth::Post => Credentials::Post(self.secret().await?),
            ClientAuth::PrivateKeyJwt => Credentials::Assertion(self.assertion(known).await?),
            ClientAuth::None => Credentials::None,
        })
    }

    async fn secret(&self) -> Result<String, Error> {
        match (&self.settings.client_secret_file, &self.settings.client_secret) {
            (Some(file), _) => Ok(read(file).await?.trim().to_owned()),
            (None, Some(secret)) => Ok(secret.reveal().clone()),
            (None, None) => Err(Error::Client("no secret is configured".to_owned())),
        }
    }

    async fn assertion(&self, known: &Known) -> Result<String, Error> {
        let file = self.settings.private_key_file.as_deref().unwrap_or(Path::new(""));
        let pem = read(file).await?;
        let (algorithm, key) = signing_key(pem.as_bytes())
            .ok_or_else(|| Error::Client(format!("{} is no PKCS #8 key for RS256, ES256 or EdDSA", file.display())))?;
        let mut header = Header::new(algorithm);
        header.kid.clone_from(&self.settings.private_key_id);
        let (now, client) = (clock::now(), &self.settings.client_id);
        let claims = json!({
            "iss": client,
            "sub": client,
            "aud": self.audience(known),
            "jti": random::token(),
            "iat": now,
            "exp": now + ASSERTION,
        });
        encode(&header, &claims, &key).map_err(|error| Error::Client(error.to_string()))
    }
}

impl Provider {
    /// For whom our signed token is: the token endpoint (RFC 7523), where that is at the issuer's own host, else the issuer.
    /// A provider that names the endpoint of another gets no token that the other would take.
    fn audience<'a>(&'a self, known: &'a Known) -> &'a str {
        let issuer = url::Url::parse(&self.settings.issuer).ok();
        let same = issuer.is_some_and(|issuer| issuer.origin() == known.token.origin());
        if same { known.token.as_str() } else { &self.settings.issuer }
    }
}

fn signing_key(pem: &[u8]) -> Option<(Algorithm, EncodingKey)> {
    let rsa = EncodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key));
    let ec = |_| EncodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key));
    let ed = |_| EncodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key));
    rsa.or_else(ec).or_else(ed).ok()
}

async fn read(file: &Path) -> Result<String, Error> {
    let text = tokio::fs::read_to_string(file).await;
    text.map_err(|error| Error::Client(format!("cannot read {}: {error}", file.display())))
}
