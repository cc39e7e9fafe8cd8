//! The key that signs.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA.
    Rs256,
    /// An elliptic curve.
    Es256,
}

/// One key and its name.
pub struct Keys {
    algorithm: Algorithm,
    id: String,
    key: EncodingKey,
    public: Value,
}

impl Keys {
    /// A new key.
    pub fn new(algorithm: Algorithm) -> Result<Self> {
        let id = random();
        let (pair, name) = match algorithm {
            Algorithm::Rs256 => (KeyPair::generate_for(&PKCS_RSA_SHA256)?, jsonwebtoken::Algorithm::RS256),
            Algorithm::Es256 => (KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, jsonwebtoken::Algorithm::ES256),
        };
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::Es256 => EncodingKey::from_ec_pem(pem.as_bytes()),
        };
        let key = key.context("the key is one that was just made")?;
        let mut public = serde_json::to_value(Jwk::from_encoding_key(&key, name)?)?;
        public["kid"] = Value::from(id.as_str());
        public["use"] = Value::from("sig");
        Ok(Self { algorithm, id, key, public })
    }

    /// The header of a token.
    pub fn header(&self, kind: Option<&str>) -> Value {
        let mut header = json!({ "alg": self.name(), "kid": self.id });
        if let Some(kind) = kind {
            header["typ"] = Value::from(kind);
        }
        header
    }

    fn name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
        }
    }

    /// Signs whatever it is given, by its own algorithm.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let algorithm = match self.algorithm {
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        };
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &self.key, algorithm)?;
        Ok(format!("{text}.{signature}"))
    }

    /// The public key as providers publish it.
    pub fn published(&self) -> Value {
        json!({ "keys": [self.public] })
    }
}

/// A name that nobody can guess.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}
