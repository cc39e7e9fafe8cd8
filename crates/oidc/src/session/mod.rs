//! Sessions: who is logged in, and where that is kept.
//!
//! ```text
//! cookie ─┬─ s<id>: the key is its SHA-256 ─▶ store: this process, or Redis (sealed)
//!         └─ c<sealed>: the session itself, in as many cookies as it takes
//! ```
//!
//! Whoever reads a store finds no cookie in it, and whoever writes to Redis cannot make a session that opens.

mod ended;
mod kept;
mod memory;
mod once;
mod redis;
mod remembered;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clock::Seconds;
use crate::jwt::Claims;
use crate::random;

pub use kept::{Found, Place, Sessions, Store};
pub use memory::Memory;
pub use redis::Redis;

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its name in logs. It opens nothing.
    pub id: String,
    /// At which provider the person logged in.
    pub provider: Arc<str>,
    /// What that provider was ([`crate::provider::Provider::origin`]): another one may have its name by now. A session of which
    /// it is not known is nobody's.
    #[serde(default)]
    pub origin: Arc<str>,
    /// Who it is there.
    pub subject: String,
    /// The provider's own session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// What the provider says of the person.
    pub claims: Claims,
    /// The tokens.
    pub tokens: Tokens,
    /// When the login was.
    pub created: Seconds,
    /// When the person last proved who they are; 0 when the provider did not say, so that it is too long ago for all.
    pub authenticated: Seconds,
}

/// The tokens of a session. They do not show in logs.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// The ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the access token may do, as far as the provider says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// When the access token expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Seconds>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// The name of a session in a store: the SHA-256 of the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) [u8; 32]);

impl Key {
    /// The key of a cookie's id.
    pub fn of(id: &str) -> Self {
        Self(random::hash(id))
    }

    /// The key as text.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Which sessions a provider ends: those of one of its own sessions, or all of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Of a session of the provider.
    Sid {
        /// The provider's name.
        provider: Arc<str>,
        /// Its session.
        sid: String,
    },
    /// Of a person.
    Subject {
        /// The provider's name.
        provider: Arc<str>,
        /// The person.
        subject: String,
    },
}

impl Whose {
    /// The name under which such sessions are found.
    pub fn key(&self) -> Key {
        let (kind, provider, name) = match self {
            Self::Sid { provider, sid } => ("sid", provider, sid),
            Self::Subject { provider, subject } => ("sub", provider, subject),
        };
        Key(random::hash(&format!("{kind}\0{provider}\0{name}")))
    }
}

impl Session {
    /// Under which names a provider may end it.
    pub fn ended_by(&self) -> impl Iterator<Item = Key> {
        let provider = &self.provider;
        let sid = self.sid.as_ref().map(|sid| Whose::Sid { provider: Arc::clone(provider), sid: sid.clone() });
        let person = Whose::Subject { provider: Arc::clone(provider), subject: self.subject.clone() };
        sid.into_iter().chain([person]).map(|whose| whose.key())
    }
}

/// Why a session cannot be read or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store does not answer.
    #[error("the session store: {0}")]
    Store(#[from] kit::redis::Failure),
    /// There is no room for more.
    #[error("there are as many sessions as are allowed (sessions.store.memory.maxSessions)")]
    Full,
    /// The provider ended it while it began.
    #[error("the provider has ended the session while it began")]
    Ended,
    /// The tokens and claims do not fit into cookies.
    #[error("the session is too large for cookies: it needs a store, or fewer claims and scopes")]
    TooLarge,
}

impl Error {
    /// The reason as a label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Store(failure) => failure.reason(),
            Self::Full => "full",
            Self::Ended => "ended",
            Self::TooLarge => "too_large",
        }
    }
}

#[cfg(test)]
mod tests;
